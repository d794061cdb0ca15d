# SPDX-License-Identifier: Apache-2.0
"""The cost of calls, in seconds and in commands that are run."""

import sys
import time
from collections.abc import Callable
from typing import Any

#: The cost of a call: seconds, and how many commands it ran.
Taken = tuple[float, int]

_commands = 0


def _count(event: str, _arguments: Any) -> None:
    global _commands  # noqa: PLW0603 - an audit hook can be nothing but global
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        _commands += 1


def count_commands() -> None:
    """Begin to count the commands of this process."""
    sys.addaudithook(_count)


class Inside:
    """Adds up what passes in a driver's calls."""

    _CALLS = ("validate_connector", "create_export", "initialize_connection")

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.seconds = 0.0

    def __enter__(self) -> "Inside":
        for name in self._CALLS:
            setattr(self._driver, name, self._timing(getattr(self._driver, name)))
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._CALLS:
            delattr(self._driver, name)

    def _timing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - start

        return timing


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, Taken]:
    """Give a call's result, and what it took."""
    before, start = _commands, time.perf_counter()
    result = call(*arguments)
    return result, (time.perf_counter() - start, _commands - before)


def total(first: Taken, second: Taken) -> Taken:
    """Add up what two calls took."""
    return first[0] + second[0], first[1] + second[1]
