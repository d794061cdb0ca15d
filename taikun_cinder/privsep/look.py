# SPDX-License-Identifier: Apache-2.0
"""The look at what is on a logical volume, by a process that can do no harm.

Root opens the device, and the program ``probe`` reads from it as a user that owns
nothing. What that program says was made of what servers wrote: it is short, of a fixed
form, and ends in time, or it counts for nothing.

A read of a disk that does not answer can outlive a kill. So nobody waits for the
program's end, and the lock on the device (flock(2)) is held by the file that it has
open: no other look begins as long as it is there, even if this process is gone.
"""

import contextlib
import fcntl
import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from taikun_cinder.privsep import checks, commands, context, deadline, ours, probe
from taikun_cinder.privsep.refusal import KernelRefused, Unseen

#: How long a look may take, in seconds, and how long one waits for another one of the
#: same device. As a rule it takes some hundredths of a second.
PATIENCE = 5.0

#: How long a program that was killed may take to end, in seconds.
_GRACE = 0.5

_PAUSE = 0.01

#: Ends a process by its ID. That is no other's meanwhile: nobody has waited for it.
_KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"

_PROGRAM = str(Path(probe.__file__).resolve())

#: The longest that the program may say, in bytes, and each line of it.
_MOST = 8192
_LINE = re.compile(r"([A-Za-z0-9_.+-]{1,32}) (-|local|shared) ([0-9]{1,5})")

_CAUSES = {
    probe.NO_LIBRARY: "there is no libblkid.so.1 on this node (libblkid1, libblkid)",
    probe.NOT_HARMLESS: "the program that looks cannot give up its rights (a container "
    "needs CAP_SETUID, CAP_SETGID and CAP_KILL)",
    probe.UNREADABLE: "the disk cannot be read",
}

#: What a look finds: kind, detail and partition, see ``access.contents.Content``.
Found = tuple[str, str, int]


@context.entrypoint
def contents(device: str) -> list[Found]:
    """Tell what is on a logical volume.

    Args:
        device: the path of its device.

    Raises:
        Unseen: it could not be looked at.
        TooLate: the caller waits no more.
        ValueError: it is no logical volume of ours.
    """
    deadline.check()
    path = checks.device(device)
    try:
        disk = ours.opened(path)
    except OSError as error:
        raise Unseen(f"{path} cannot be opened: {error.strerror}") from None
    with os.fdopen(disk, "rb", buffering=0) as file:
        _lock(file)
        return _look(file)


@context.entrypoint
def rehearse() -> None:
    """Look at a disk that is blank.

    Raises:
        Unseen: it could not be looked at.
    """
    with os.fdopen(os.memfd_create("blank"), "rb", buffering=0) as file:
        os.truncate(file.fileno(), 1 << 20)
        _look(file)


def _lock(file: IO[bytes]) -> None:
    end = deadline.now() + PATIENCE
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if deadline.now() > end:
            raise Unseen(
                "another look at it has not come back, as its disk does not answer"
            )
        time.sleep(_PAUSE)


def _look(file: IO[bytes]) -> list[Found]:
    try:
        program = subprocess.Popen(
            # Without site-packages, this folder, and what a user may have set.
            [sys.executable, "-I", "-S", "-B", _PROGRAM],
            # A locale is a map of the file that has all of them, which can be as large
            # as all the memory that the program may have.
            env={"PATH": commands.PATH, "LC_ALL": "C"},
            cwd="/",
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Unseen(f"{sys.executable} cannot be run: {error.strerror}") from None
    with _ended(program):
        end = deadline.now() + PATIENCE
        said = _said(program, end)
        try:
            status = program.wait(max(0.0, end - deadline.now()))
        except subprocess.TimeoutExpired:
            raise _late() from None
    if status:
        raise Unseen(
            _CAUSES.get(status, f"the program that looks broke off ({status})")
        )
    return list(_parsed(said))


@contextlib.contextmanager
def _ended(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the program, unless it has ended, and do not wait for one that hangs."""
    try:
        yield
    finally:
        if program.stdout:
            program.stdout.close()
        if program.returncode is None:
            _kill(program)
            # The next one that is started reaps one that ends later (subprocess).
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_GRACE)


def _kill(program: subprocess.Popen[bytes]) -> None:
    """Kill the program, which is another user's.

    That takes CAP_KILL. This process does not have it (``context``), but a program does
    that root starts: it has all that the node, or its container, allows.
    """
    command = (sys.executable, "-I", "-S", "-B", "-c", _KILL, str(program.pid))
    with contextlib.suppress(KernelRefused):
        commands.run("end the program that looks", *command)


def _said(program: subprocess.Popen[bytes], end: float) -> bytes:
    """Read all that the program says.

    Raises:
        Unseen: it takes too long, or is too much.
    """
    assert program.stdout  # noqa: S101 - for the type checker
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(program.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, end - deadline.now())):
            some = os.read(program.stdout.fileno(), _MOST)
            said += some
            if not some:
                return said
            if len(said) > _MOST:
                raise Unseen("the program that looks says too much")
    raise _late()


def _late() -> Unseen:
    return Unseen(f"its disk did not answer in {PATIENCE:.0f} s")


def _parsed(said: bytes) -> Iterator[Found]:
    """Give what the program found.

    Raises:
        Unseen: it does not have the form.
    """
    for line in said.decode("ascii", "replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise Unseen("what the program that looks says has no meaning")
        kind, detail, partition = found.groups()
        yield kind, "" if detail == "-" else detail, int(partition)
