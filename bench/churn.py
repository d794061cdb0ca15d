# SPDX-License-Identifier: Apache-2.0
"""Many hosts and volumes that come and go: nothing may grow, and nothing be left."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from bench.report import Record, Report
from lab.errors import LabError
from lab.single import SingleNode

#: For one piece of the work, in seconds: one that takes longer hangs.
_PATIENCE = 600.0

#: Cycles in one call: what hangs is told after a piece, and what goes on is seen.
_PIECE = 100

#: How often the reconcile goes its round meanwhile, in seconds.
_INTERVAL = "5"

_STAYS = "stays"

#: The kinds of things that ``left_over`` of the guest names.
_OF_A_HOST = {"target", "ACL", "backstore", "session", "node"}
_OF_A_VOLUME = {"volume", "record"}

#: What a process may grow in KiB over 1,000 cycles, by the line through the second half
#: of what was seen: Python's heap and SQLAlchemy's caches fill in the first. A
#: connection, a record or a lock that is kept for each cycle would be more than that.
_MEMORY = 4096

#: Fewer cycles say nothing about memory.
_MANY = 1000


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The extent of the churn.

    Attributes:
        cycles: how many times a host is attached to one volume, and detached.
        volumes: how many volumes are created, attached, detached and deleted.
        workers: how many of them at once.
    """

    cycles: int
    volumes: int
    workers: int = 8


DEFAULT = Sizes(cycles=2000, volumes=200)
QUICK = Sizes(cycles=100, volumes=16)

_Footprint = dict[str, dict[str, int]]


class Churn:
    """One boot of a node in which hosts and volumes come and go.

    Args:
        single: the node, up and empty.
        report: where the records go, and what was held: see :func:`table`.
        sizes: how much.
    """

    def __init__(self, single: SingleNode, report: Report, sizes: Sizes) -> None:
        self._node, self._report, self._sizes = single.node, report, sizes

    def run(self) -> None:
        """Let them come and go.

        Raises:
            LabError: something failed, hung, grew, or was left behind.
        """
        options = {"taikun_reconcile_interval": _INTERVAL}
        with self._node.session(_PATIENCE) as call:
            self._call = call
            call("bench.guest.driver", "start", "OURS", options)
            with _told():
                self._all()

    def _all(self) -> None:
        volume = self._driver("create_volume")
        with self._one_that_stays(volume):
            self._cycles(volume)
            self._check("the cycles", volume, _OF_A_HOST | _OF_A_VOLUME)
            self._volumes()
            self._check("the volumes", volume, _OF_A_HOST | _OF_A_VOLUME)
        self._check("the last detach", volume, _OF_A_VOLUME)
        self._driver("delete_volume", volume)
        self._check("the end of the last volume", volume, set())
        self._judge()

    @contextlib.contextmanager
    def _one_that_stays(self, volume: str) -> Iterator[None]:
        """Keep a host logged in, which is detached last."""
        host = self._node.call("lab.guest.initiators", "connector", _STAYS)
        told = self._driver("attach", volume, host)
        self._path = self._call("lab.guest.initiators", "login", _STAYS, told)
        self._session = self._guest("connections", _STAYS)
        yield
        self._call("lab.guest.initiators", "logout", _STAYS, told)
        self._guest("forget", _STAYS, told)
        self._driver("detach", told["attachment_id"])

    def _cycles(self, volume: str) -> None:
        taken: list[Any] = []
        for done in _pieces(self._sizes.cycles, min(_PIECE, self._sizes.cycles // 10)):
            taken += self._guest("cycles", volume, len(taken), done - len(taken))
            self._use(f"after {done} cycles")
            self._look("cycles", done, f"{done} hosts came and went")
        self._report.add(Record.of("churn, in and out", "ours", 1, taken))

    def _volumes(self) -> None:
        before, piece = 0, max(self._sizes.volumes // 10, self._sizes.workers)
        for done in _pieces(self._sizes.volumes, piece):
            self._guest("volumes", done - before, self._sizes.workers)
            before = done
            self._use(f"after {done} volumes")
            self._look("volumes", done, f"{done} volumes came and went")

    def _use(self, words: str) -> None:
        """Let the host that stays write and read; it may not have logged in anew."""
        self._call("lab.guest.blocks", "write", self._path, 1, words)
        read = self._call("lab.guest.blocks", "read", self._path, 1)
        if read != words:
            raise LabError(f"the host that stays wrote {words!r} and reads {read!r}")
        now = self._guest("connections", _STAYS)
        if now != self._session:
            raise LabError(
                f"the host that stays lost its session {words}: it was "
                f"{self._session}, and is {now}"
            )

    def _check(self, after: str, volume: str, kinds: set[str]) -> None:
        """Refuse anything left behind, except these kinds for the host that stays."""
        left = [
            entry
            for entry in self._guest("left_over")
            if not (
                entry.split()[0] in kinds and volume in entry and "churn-" not in entry
            )
        ]
        trouble = self._node.kernel.trouble()
        if left or trouble:
            raise LabError(
                f"left behind after {after}: {left}; the kernel reports: {trouble}"
            )

    def _look(self, what: str, done: int, words: str) -> None:
        seen: _Footprint = self._guest("footprint")
        print(f"{words}: {seen}", flush=True)
        told = self._report.header.setdefault("churn", {})
        for process, held in seen.items():
            for resource, value in held.items():
                series = told.setdefault(f"{what}, {process}, {resource}", [])
                series.append([done, value])

    def _judge(self) -> None:
        """Refuse what grew; the first point comes after a warm-up."""
        for name, series in self._report.header["churn"].items():
            values = [value for _, value in series]
            if name.endswith(("descriptors", "threads")):
                # Of the last two, because one may be seen in the middle of something.
                if min(values[-2:]) > max(values[: (len(values) + 1) // 2]):
                    raise LabError(f"{name} grow: {values}")
            elif name.endswith("memory") and series[-1][0] >= _MANY:
                later = growth(series[len(series) // 2 :])
                if later > _MEMORY:
                    raise LabError(f"{name} grows by {later:.0f} KiB in 1000: {values}")

    def _driver(self, method: str, *arguments: Any) -> Any:
        return self._call.backend(method, *arguments)

    def _guest(self, function: str, *arguments: Any) -> Any:
        return self._call("bench.guest.churn", function, *arguments)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise whatever the node raised as an error of the lab."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"the churn broke off: {error}") from error


def _pieces(total: int, piece: int) -> Iterator[int]:
    """Give how much is done after each piece."""
    yield from range(piece, total, piece)
    yield total


def growth(series: list[list[int]]) -> float:
    """Give the growth over 1,000 by least squares of (how many, how much)."""
    if len(series) < 2:  # noqa: PLR2004 - a line takes two points
        return 0.0
    middle = sum(at for at, _ in series) / len(series)
    above = sum((at - middle) * value for at, value in series)
    below = sum((at - middle) ** 2 for at, _ in series)
    return above / below * 1000


def table(told: dict[str, list[list[int]]]) -> Iterator[str]:
    """Give what was held first and last, and how it grew, as lines of text."""
    yield f"{'held (memory in KiB)':38}{'first':>10}{'last':>10}{'per 1000':>10}"
    for name, series in told.items():
        first, last = series[0][1], series[-1][1]
        yield f"{name:38}{first:10}{last:10}{growth(series):10.1f}"
