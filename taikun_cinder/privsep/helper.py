# SPDX-License-Identifier: Apache-2.0
"""The start of the privileged process, in time, and with the words of what fails.

oslo.privsep's own start waits for ever for the command, and tells only its status.
"""

import collections
import contextlib
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oslo_privsep import comm, daemon

#: The longest that the command may take, in seconds: a busy node needs some.
PATIENCE = 60.0

#: How much is told of what the command said, in lines and in characters.
_LINES, _CHARACTERS = 20, 600


class Channel(daemon.RootwrapClientChannel):
    """The channel to a privileged process that the helper command starts.

    Args:
        context: the PrivContext.

    Raises:
        FailedToDropPrivileges: it does not start; the text says why.
    """

    def __init__(self, context: Any) -> None:
        words = _Words(logging.getLogger(context.conf.logger_name))
        connected = _connected(context, words)
        try:
            # Not its own start, which is what this one is for.
            super(daemon.RootwrapClientChannel, self).__init__(connected, context)
        except Exception as error:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)  # so that its reader ends
            said = words.said() or str(error) or type(error).__name__
            raise daemon.FailedToDropPrivileges(said) from None
        words.log()

    def exchange_ping(self) -> None:
        """Wait for the first answer.

        Raises:
            PrivsepTimeout: none came in time.
            OSError: the process has ended.
        """
        answer = self.send_recv((comm.Message.PING.value,), PATIENCE)
        if answer[0] != comm.Message.PONG:
            raise comm.PrivsepTimeout(f"it has not answered after {PATIENCE:.0f} s")


class _Words:
    """What the command says: kept while it starts, and logged from then on.

    Args:
        log: where.

    Attributes:
        file: the number of the file that the command is to write to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._kept = collections.deque[str](maxlen=_LINES)
        self._is_logged = False
        read, self.file = os.pipe()
        # With eventlet the others go on while one reads, as oslo.privsep has it.
        lines = daemon.fdopen(read, "r", 1, errors="replace")
        self._reader = threading.Thread(
            name="privsep_words", target=self._read, args=(lines,), daemon=True
        )
        self._reader.start()

    def _read(self, lines: Any) -> None:
        with lines:
            for line in lines:
                if text := line.strip():
                    self._take(text)

    def _take(self, line: str) -> None:
        with self._lock:
            if self._is_logged:
                self._log.warning("privsep log: %s", line)
            else:
                self._kept.append(line)

    def log(self) -> None:
        """Log what it said, and what it says from now on."""
        with self._lock:
            self._is_logged = True
        for line in self._kept:
            self._take(line)

    def said(self) -> str:
        """Give the last lines of what it said, in one."""
        self._reader.join(1)  # no longer: what the command started may have it open
        with self._lock:
            return " / ".join(self._kept)[-_CHARACTERS:]


def _connected(context: Any, words: _Words) -> socket.socket:
    """Let the command start it; give the connection that it makes.

    Raises:
        FailedToDropPrivileges: it does not start; the text says why.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        path = str(Path(folder, "privsep.sock"))
        listening.bind(path)
        listening.listen(1)
        listening.settimeout(PATIENCE)
        _run(context.helper_command(path), words)
        try:
            connected, _ = listening.accept()
        except TimeoutError:
            raise daemon.FailedToDropPrivileges(
                words.said() or f"it has not called back after {PATIENCE:.0f} s"
            ) from None
    connected.settimeout(None)
    return connected


def _run(command: Sequence[str], words: _Words) -> None:
    try:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words.file,
            stderr=words.file,
            # Its own, in which sudo finds no terminal to ask for a password at.
            start_new_session=True,
        )
    except OSError as error:
        raise daemon.FailedToDropPrivileges(f"{command[0]}: {error.strerror}") from None
    finally:
        os.close(words.file)  # it ends with those who write
    try:
        status = started.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        _end(started)
        raise daemon.FailedToDropPrivileges(
            f"{' '.join(command)} has not ended after {PATIENCE:.0f} s"
        ) from None
    if status:
        said = words.said() or "it said nothing"
        raise daemon.FailedToDropPrivileges(
            f"{command[0]} ended with status {status}: {said}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)  # with all that it started
    except PermissionError:  # sudo is root's by then
        return
    process.wait()
