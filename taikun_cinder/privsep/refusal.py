# SPDX-License-Identifier: Apache-2.0
"""The errors that the privileged process gives when it cannot do what is asked."""

import errno
import os


class KernelRefused(Exception):  # noqa: N818 - it says what happened
    """The kernel refused to read or to change something.

    All fields are plain, since oslo.privsep sends only an exception's arguments.

    Attributes:
        step: which of the steps asked for, counted from 0; -1 where none was.
        doing: what was tried, in words.
        path: the file or folder in question.
        number: the kernel's error number.
    """

    def __init__(self, step: int, doing: str, path: str, number: int) -> None:
        super().__init__(step, doing, path, number)
        self.step, self.doing, self.path, self.number = step, doing, path, number

    @classmethod
    def of(cls, step: int, doing: str, error: OSError) -> "KernelRefused":
        """Make it from the error of an operation on a file or folder.

        What that says beside the number's own words goes into the words of it.
        """
        path = error.filename2 or error.filename or "(no path)"
        number = error.errno or 0
        if error.strerror and error.strerror != os.strerror(number):
            doing = f"{doing} ({error.strerror})"
        return cls(step, doing, str(path), number)

    def __str__(self) -> str:
        name = errno.errorcode.get(self.number, str(self.number))
        return (
            f"{self.doing}: {os.strerror(self.number)} ({name}) at {self.path}; "
            "the kernel's log (dmesg) may say more"
        )


class Busy(Exception):  # noqa: N818 - it says what is so
    """Another call on the same target has not come back from the kernel.

    Attributes:
        doing: what that call does, in words; empty if it is another process's.
        since: how long it has been doing it, in seconds; 0 if it is another process's.
    """

    def __init__(self, doing: str, since: float) -> None:
        super().__init__(doing, since)
        self.doing, self.since = doing, since

    def __str__(self) -> str:
        if not self.doing:
            return "a call of another process has not come back from the kernel"
        return (
            f"what was begun {self.since:.0f} s ago ({self.doing}) has not come back "
            "from the kernel"
        )


class Unseen(Exception):  # noqa: N818 - it says what is so
    """What is on a device could not be looked at; the text is the cause."""
