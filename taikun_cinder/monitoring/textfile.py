# SPDX-License-Identifier: Apache-2.0
"""The file of one back end's metrics, for node_exporter's textfile collector.

It is written now and then, by a thread of its own, so nobody waits for it. What goes
wrong with it is told once, and harms nothing else.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from oslo_log import log as logging

from taikun_cinder import state_folder
from taikun_cinder.node import Node, Problem

LOG = logging.getLogger(__name__)

#: The time between two writes, in seconds. Prometheus comes no oftener, as a rule.
PERIOD = 15.0


#: What the names of all files are like, whatever back end they are of.
FILES = "taikun_cinder-*.prom"


def problems(option: str | None, node: Node) -> Iterator[Problem]:
    """Tell what is wrong with the folder and would not show when it is written to.

    Args:
        option: it, as taikun_metrics_folder says; None or empty for none.
        node: the node.
    """
    if not option:
        return
    folder = Path(option)
    if not folder.is_absolute():
        yield Problem(
            f"'{folder}' (option taikun_metrics_folder) is another folder wherever a "
            "program is started",
            "Set taikun_metrics_folder to a path that begins with /.",
            tolerable=True,
        )
        return
    there = node.file_system(folder.resolve())
    if there.kind in state_folder.SHARED:
        yield Problem(
            f"{folder} (option taikun_metrics_folder) is on {there.kind}. If that does "
            "not answer, the whole service may wait for it",
            "Set taikun_metrics_folder to a folder on a disk of this node.",
            tolerable=True,
        )


def file_name(backend: str) -> str:
    """Give the name of a back end's file; the back end's is ``node@backend``."""
    return f"taikun_cinder-{quote(backend, safe='@')}.prom"


class Textfile:
    """The file, written again and again.

    Args:
        folder: the textfile collector's. Others may have files there, too.
        backend: the back end's name, as ``node@backend``: each has a file of its own.
        text: gives what is to be in it.
        period: between two writes, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        text: Callable[[], bytes],
        period: float = PERIOD,
    ) -> None:
        self.path = folder / file_name(backend)
        name = self.path.stem
        self._draft = folder / f".{name}.new"
        self._lock_file = folder / f".{name}.lock"
        self._lock: int | None = None
        self._text = text
        self._period = period
        self._trouble = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write it."""
        self._thread = threading.Thread(
            target=self._run, name="taikun-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Write it no more. The file stays, and grows old."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._let_it_go()

    def refresh(self) -> None:
        """Write it; what goes wrong is told, unless that was the last that was told."""
        try:
            self._write()
        except Exception as error:
            self._tell(error)
            return
        if self._trouble:
            LOG.info("Metrics are written to %s again.", self.path)
        self._trouble = ""

    def _run(self) -> None:
        while True:
            self.refresh()
            if self._stopped.wait(self._period):
                return

    def _tell(self, error: Exception) -> None:
        cause = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        if cause == self._trouble:
            return
        self._trouble = cause
        if isinstance(error, BlockingIOError):
            LOG.info(
                "Metrics are not written to %s yet: another process of this back end "
                "writes them. This one will when that one has ended.",
                self.path,
            )
            return
        LOG.error(
            "Metrics cannot be written to %(path)s: %(cause)s. Nothing else suffers "
            "from it. The folder (option taikun_metrics_folder) has to be there, with "
            "room on its disk, and the user of cinder-volume has to be able to write "
            "to it. It is tried again every %(period).0f seconds, and told when it "
            "has worked.",
            {"path": self.path, "cause": cause, "period": self._period},
        )

    def _write(self) -> None:
        """Replace the file, wholly or not at all.

        Raises:
            BlockingIOError: another process writes it.
            OSError: it cannot be written.
        """
        self._have_it_alone()
        text = self._text()
        self._draft.unlink(missing_ok=True)
        created = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with os.fdopen(os.open(self._draft, created, 0o600), "wb") as file:
                # Whatever the service's umask is: node_exporter is another user.
                os.fchmod(file.fileno(), 0o644)
                file.write(text)
            self._draft.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)
            raise

    def _have_it_alone(self) -> None:
        """Keep another process from the file, until this one ends.

        While one cinder-volume takes over from another, both serve the back end. Their
        counters would come and go by turns.

        Raises:
            BlockingIOError: another process has it.
        """
        if self._lock is not None and self._is_there(self._lock):
            return
        self._let_it_go()
        opened = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(opened)
            raise
        self._lock = opened

    def _is_there(self, lock: int) -> bool:
        """Say whether the lock is still the folder's, which may be another one now."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(lock), self._lock_file.stat())
        return False

    def _let_it_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
