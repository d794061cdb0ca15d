# SPDX-License-Identifier: Apache-2.0
"""Lets cinder-volume die at every point of a request, one after the other.

Each request is made by a process of its own, which is killed, or loses its privileged
process, at its first point, then at its second, and so on until it gets to its end
unharmed. After each this process does what the service does at its start, and in one
reconcile.

A part of the points can be chosen, since a walk takes minutes.

It starts its back end once and forks the others, since in the lab a start takes LVM
longer than all the rest. That is the same: a driver keeps nothing in its process.
"""

import contextlib
import dataclasses
import faulthandler
import functools
import gc
import os
import pickle
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from cinder import coordination
from cinder.volume import configuration
from cinder.volume.drivers import lvm
from rtslib_fb import RTSRoot

from lab import processes
from lab.guest import privileged
from lab.guest import volume as volumes
from lab.guest.system import run
from lab.guest.volume_settings import BACKEND, RECORDS
from lab.plan import VOLUME_GROUP
from taikun_cinder import volume_groups
from taikun_cinder.cinder_db import api as db_api
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.restore import Restore
from taikun_cinder.records import Records
from taikun_cinder.survey import Survey
from taikun_cinder.targets.lio.target import LioTarget
from tests.lab.guest.points import Points

_ACLS = "/sys/kernel/config/target/iscsi/iqn.*:volume-{}/tpgt_1/acls/*"
#: No request has more points. A walk that does not end would be a fault of its own.
_MOST = 400


@dataclasses.dataclass
class Crash:
    """The outcome of one crash.

    Attributes:
        point: the call that was about to be made; empty for the unharmed request.
        outcome: how the request ended: ``done``, ``killed``, or its error.
        problems: everything that was wrong afterwards.
    """

    point: str
    outcome: str
    problems: list[str]


class Walk:
    """The requests of one host for one volume, with crashes in them.

    Args:
        volume_id: the volume.
        connector: of the host.
        victim: the process that is killed, see ``Points.arm``.
        points: the numbers of the points, the first is 1.
        reboot: whether the node loses all that its kernel had as well.
    """

    def __init__(
        self,
        volume_id: str,
        connector: dict[str, Any],
        victim: str,
        points: range,
        *,
        reboot: bool,
    ) -> None:
        self._volume = volume_id
        self._connector = connector
        self._own = connector["initiator"]
        self._victim = victim
        self._numbers = points
        self._reboot = reboot
        self._points = Points()
        self._backend = volumes.Backend(options={"taikun_reconcile_interval": "0"})
        self._backend.manager.driver._reconcile.join()
        # Once for all restores, as it asks LVM five things.
        section = configuration.Configuration(lvm.volume_opts, BACKEND)
        self._here = Backend(
            BACKEND,
            section,
            volume_groups.Group.of(section),
            LioTarget,
            Records(RECORDS),
        )

    def attach(self) -> list[Crash]:
        """Crash in the attach of the host."""
        return list(self._walk(self._reserve, self._update))

    def detach(self) -> list[Crash]:
        """Crash in the detach of the host."""
        return list(self._walk(self._attached, self._delete))

    def _walk(
        self, before: Callable[[], str], request: Callable[[str], None]
    ) -> Iterator[Crash]:
        for number in self._numbers:
            crash = functools.partial(self._request, number, request, before())
            outcome = _in_process(crash)
            yield Crash(self._points.hit, outcome, self._afterwards())
            if not self._points.hit:
                return

    def _request(
        self, number: int, request: Callable[[str], None], attachment: str
    ) -> str:
        self._points.arm(number, self._victim)
        privileged.use_forked()
        try:
            request(attachment)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._points.disarm()
        return "done"

    def _reserve(self) -> str:
        return self._backend.reserve(self._volume)

    def _update(self, attachment: str) -> None:
        volume = self._backend.volume(self._volume)
        self._backend.manager.attachment_update(
            self._backend.context, volume, dict(self._connector), attachment
        )

    def _attached(self) -> str:
        information = self._backend.attach(self._volume, self._connector)
        return str(information["attachment_id"])

    def _delete(self, attachment: str) -> None:
        volume = self._backend.volume(self._volume)
        self._backend.manager.attachment_delete(
            self._backend.context, attachment, volume
        )

    def _afterwards(self) -> list[str]:
        """Start the service again, look whether all is right, and clean up."""
        problems: list[str] = []
        if self._reboot:
            before = self._acls()
            _lose_the_kernels_state()
            problems += self._restored(before)
        self._start()
        problems += self._compared()
        for row in self._backend.volume(self._volume).volume_attachment:
            if (row.connector or self._connector)["initiator"] == self._own:
                self._backend.detach(row.id)
        left = self._acls() - self._rows()[0]
        problems += [
            f"after the detach there is still {initiator}" for initiator in left
        ]
        return problems

    def _start(self) -> None:
        """Do what cinder-volume does at its start, and let an interval pass."""
        volume, driver = (
            self._backend.volume(self._volume),
            self._backend.manager.driver,
        )
        if volume.status == "in-use":
            driver.ensure_export(self._backend.context, volume)
        driver._reconcile._grace = 1e-9
        self._backend.reconcile()

    def _restored(self, before: set[str]) -> list[str]:
        said: list[str] = []
        own = coordination.Coordinator(prefix="cinder-")
        restore = Restore(said.append, own)
        problems = []
        if not restore.run(self._here.records, [self._here]):
            problems.append(f"restore failed: {said}")
        # The request under way was answered neither way, so its host may be either.
        if (self._acls() ^ before) - {self._own}:
            problems.append(f"restored {self._acls()} instead of {before}")
        return problems

    def _compared(self) -> list[str]:
        """Compare the kernel with Cinder's rows."""
        told, connected = self._rows()
        acls = self._acls()
        problems = [f"{initiator} is shut out" for initiator in told - acls]
        problems += [f"{initiator} is let in" for initiator in acls - connected]
        volume = self._backend.volume(self._volume)
        exports = self._backend.manager.driver._exports
        found = Survey(exports, exports._records, 0, print).of(volume).findings
        problems += [f"not put right: {finding}" for finding in found]
        device = Path("/dev", VOLUME_GROUP, f"volume-{self._volume}")
        if not acls and _is_open(device):
            problems.append("the volume is open, and nobody is let in")
        return problems

    def _rows(self) -> tuple[set[str], set[str]]:
        """Give the initiators that were told how to connect, and those of all rows."""
        rows = self._backend.volume(self._volume).volume_attachment
        connected = [row for row in rows if row.connector]
        return (
            {row.connector["initiator"] for row in connected if row.connection_info},
            {row.connector["initiator"] for row in connected},
        )

    def _acls(self) -> set[str]:
        return {path.name for path in Path("/").glob(_ACLS.format(self._volume)[1:])}


def walk(
    request: str,
    volume_id: str,
    connector: dict[str, Any],
    victim: str,
    first: int,
    every: int,
    reboot: bool = False,
) -> list[dict[str, Any]]:
    """Crash at points of a request; give a :class:`Crash` for each, as a dict.

    Args:
        request: ``attach`` or ``detach``.
        volume_id: the volume.
        connector: of the host that makes the request.
        victim: ``driver`` or ``daemon``.
        first: the point to begin with, from 1 on.
        every: 1 for all points after it, 2 for every other one.
        reboot: whether the node is rebooted after each crash, as far as that can be
            had without a boot: LIO is emptied, and the logical volumes are inactive.
    """
    points = range(first, _MOST, every)
    of_host = Walk(volume_id, connector, victim, points, reboot=reboot)
    crashes = getattr(of_host, request)()
    return [dataclasses.asdict(crash) for crash in crashes]


def _lose_the_kernels_state() -> None:
    RTSRoot().clear_existing(confirm=True)
    run("vgchange", "-an", VOLUME_GROUP)


def _is_open(device: Path) -> bool:
    if not device.exists():
        return False
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError:
        return True
    return False


def _in_process(function: Callable[[], Any], timeout: float = 120) -> Any:
    """Call a function in a process forked from this one; give what it gives.

    Its privileged process must have ended, too, before LIO is looked at.

    Returns:
        its result; ``killed`` if it was.

    Raises:
        RuntimeError: it raised, or one of the two took too long; with what each of
            their threads was doing.
    """
    reader, writer = os.pipe()
    gc.freeze()  # see lab.guest.agent
    with tempfile.TemporaryFile("w+") as stacks:
        pid = os.fork()
        if not pid:
            faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
            db_api.dispose_engine()  # its connections are this process's
            _answer(function, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            told = _read_all(answer, timeout)
            if told is None:
                hung = _end_holders(answer, stacks)
        _pid, status = os.waitpid(pid, 0)
    if told is None:
        raise RuntimeError(f"after {timeout:.0f} s there was still:\n{hung}")
    if os.WIFSIGNALED(status):
        return "killed"
    well, result = pickle.loads(told)  # noqa: S301 - our own process
    if not well:
        raise RuntimeError(result)
    return result


def _read_all(answer: BinaryIO, timeout: float) -> bytes | None:
    """Read until nobody has the other end; give None if that takes too long."""
    told = b""
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        if not select.select([answer], [], [], max(left, 0))[0]:
            return None
        some = os.read(answer.fileno(), 1 << 16)
        if not some:
            return told
        told += some


def _end_holders(answer: BinaryIO, stacks: TextIO) -> str:
    """Kill the other processes that have a pipe; tell what they were doing."""
    pipe = os.fstat(answer.fileno()).st_ino
    told = ""
    for process in Path("/proc").glob("[1-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError):
            held = {os.stat(file).st_ino for file in (process / "fd").iterdir()}
            if pid == os.getpid() or pipe not in held:
                continue
            os.kill(pid, signal.SIGUSR1)
            time.sleep(1)
            for task in (process / "task").iterdir():
                state = processes.stat(task)[0]
                told += f"{pid}/{task.name} {state}\n{(task / 'stack').read_text()}"
            os.kill(pid, signal.SIGKILL)
    stacks.seek(0)
    return told + stacks.read()


def _answer(function: Callable[[], Any], writer: int) -> None:
    try:
        told = (True, function())
    except BaseException:
        told = (False, traceback.format_exc())
    with os.fdopen(writer, "wb") as answer:
        answer.write(pickle.dumps(told))
    os._exit(0)
