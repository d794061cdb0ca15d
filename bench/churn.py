# SPDX-License-Identifier: Apache-2.0
"""Many hosts and volumes that come and go: nothing may grow, and nothing be left."""

import dataclasses
from typing import Any

from bench.report import Record, Report
from lab.errors import LabError
from lab.node import Call
from lab.single import SingleNode

#: For one piece of the work, in seconds: one that takes longer hangs.
_PATIENCE = 600.0

#: What a process may grow in KiB of memory over 1,000 cycles, by the line through all
#: that was seen. A connection, a record or a lock that is kept for each of them would
#: be more than that; Python's own heap moves by less.
_MEMORY = 4096

#: Fewer cycles say nothing about memory.
_MANY = 1000

_WRITTEN = "by the host that stays"

#: How often the reconcile goes its round meanwhile, in seconds.
_INTERVAL = "5"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much comes and goes.

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
        report: where the records go.
        sizes: how much.
    """

    def __init__(self, single: SingleNode, report: Report, sizes: Sizes) -> None:
        self._node, self._report, self._sizes = single.node, report, sizes

    def run(self) -> None:
        """Let them come and go.

        Raises:
            LabError: something hung, grew, or was left behind.
        """
        options = {"taikun_reconcile_interval": _INTERVAL}
        with self._node.session(_PATIENCE) as call:
            call("bench.guest.driver", "start", "OURS", options)
            volume = _driver(call, "create_volume")
            stays = _driver(call, "attach", volume, self._host("stays"))
            path = call("lab.guest.initiators", "login", "stays", stays)
            call("lab.guest.blocks", "write", path, 1, _WRITTEN)
            self._cycles(call, volume)
            self._volumes(call)
            if call("lab.guest.blocks", "read", path, 1) != _WRITTEN:
                raise LabError("the host that stayed reads something else by now")
            call("lab.guest.initiators", "logout", "stays", stays)
            _driver(call, "detach", stays["attachment_id"])
            _driver(call, "delete_volume", volume)
            left = call("bench.guest.churn", "left_over")
        trouble = self._node.kernel.trouble()
        if left or trouble:
            raise LabError(f"left behind: {left}; the kernel reports: {trouble}")

    def _host(self, name: str) -> Any:
        return self._node.call("lab.guest.initiators", "connector", name)

    def _cycles(self, call: Call, volume: str) -> None:
        piece = self._sizes.cycles // 10
        taken, seen = [], []
        for done in range(0, self._sizes.cycles, piece):
            taken += call("bench.guest.churn", "cycles", volume, done, piece)
            seen.append(call("bench.guest.churn", "footprint"))
            print(f"{done + piece} hosts came and went: {seen[-1]}", flush=True)
        self._report.add(Record.of("churn, in and out", "ours", 1, taken))
        self._judge("cycles", seen, piece)

    def _volumes(self, call: Call) -> None:
        piece, seen = max(self._sizes.volumes // 10, self._sizes.workers), []
        for done in range(0, self._sizes.volumes, piece):
            call("bench.guest.churn", "volumes", piece, self._sizes.workers)
            seen.append(call("bench.guest.churn", "footprint"))
            print(f"{done + piece} volumes came and went: {seen[-1]}", flush=True)
        self._judge("volumes", seen, piece)

    def _judge(self, what: str, seen: list[_Footprint], piece: int) -> None:
        """Keep what was seen, and refuse what grows; the first piece is a warm-up."""
        told = self._report.header.setdefault("churn", {})
        for process in seen[0]:
            series = [one[process] for one in seen]
            growth = _slope([one["memory"] for one in series], piece)
            told[f"{what}, {process}"] = {
                "first": series[0],
                "last": series[-1],
                "KiB per 1000": round(growth),
            }
            for kind in ("descriptors", "threads"):
                numbers = [one[kind] for one in series]
                if numbers[-1] > max(numbers[: len(numbers) // 2]):
                    raise LabError(f"{what}: the {kind} of {process} grow: {numbers}")
            if what == "cycles" and self._sizes.cycles >= _MANY and growth > _MEMORY:
                raise LabError(f"{process} grows by {growth:.0f} KiB in 1000 {what}")


def _slope(values: list[int], piece: int) -> float:
    """Give the growth over 1,000 of what comes in pieces, by least squares."""
    later = values[1:]
    if len(later) < 2:  # noqa: PLR2004 - a line takes two points
        return 0.0
    middle, mean = (len(later) - 1) / 2, sum(later) / len(later)
    above = sum((at - middle) * (value - mean) for at, value in enumerate(later))
    below = sum((at - middle) ** 2 for at in range(len(later)))
    return above / below / piece * 1000


def _driver(call: Call, method: str, *arguments: Any) -> Any:
    return call("lab.guest.volume", "call", method, *arguments)
