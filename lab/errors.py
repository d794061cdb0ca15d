# SPDX-License-Identifier: Apache-2.0
"""The errors of the lab; each message says what failed and why."""

from pathlib import Path


def tail(log: Path, lines: int = 15) -> str:
    """Give the last ``lines`` lines of a log, indented, or say that it is empty."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        text = []
    return "\n".join(f"    | {line}" for line in text) or "    | (nothing was logged)"


class LabError(Exception):
    """A step of the lab failed; the message names it and its cause."""


class LogError(LabError):
    """A step failed and the last lines of a log tell why."""

    def __init__(self, what: str, log: Path) -> None:
        super().__init__(f"{what}\n  the last lines of {log}:\n{tail(log)}")


class LostNodeError(LogError):
    """A node's kernel is gone, hangs or does not answer."""

    def __init__(self, node: str, step: str, log: Path) -> None:
        super().__init__(f"node {node} was lost while it was to {step}", log)


class EndedError(LabError):
    """The process in a node that was called ended, or did not answer in time."""

    def __init__(self, node: str, step: str, timeout: float | None = None) -> None:
        how = "ended" if timeout is None else f"gave no answer for {timeout:.0f} s"
        super().__init__(f"on {node}: the process that was to {step} {how}")


class CommandError(LabError):
    """A command that was to succeed ended with another status than 0."""

    def __init__(self, where: str, argv: list[str], status: int, output: str) -> None:
        shown = "\n".join(f"    | {line}" for line in output.splitlines()[-15:])
        super().__init__(
            f"on {where}: {' '.join(argv)} ended with status {status}\n{shown}"
        )
        self.status = status
        self.output = output
