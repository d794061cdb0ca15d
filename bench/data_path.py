# SPDX-License-Identifier: Apache-2.0
"""The same disk by both drivers, measured by applications on one host and on two.

With one read or write under way (depth 1) a figure is how long it takes, the mean of
all; with several it is the time for each of all that are done by all hosts together,
which is 1 / IOPS.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from bench.report import Record, Report
from lab.errors import LabError
from lab.single import SingleNode

#: Of each host's part of the volume, in MiB: half of it.
_PART = 512

_HOSTS = ("a", "b")

_DRIVERS = {"in-tree": "IN_TREE", "ours": "OURS"}

#: Where the report's header has what differs in how the two drivers export.
DIFFERS = "attributes that differ"


@dataclasses.dataclass(frozen=True)
class Workload:
    """The load of an application.

    Attributes:
        name: in words.
        pattern: fio's name for it.
        block: the size of each read or write.
        depth: how many of them are under way.
    """

    name: str
    pattern: str
    block: str
    depth: int


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The extent of the measurement.

    Attributes:
        workloads: the loads.
        runs: how many times.
        seconds: each time for how long.
    """

    workloads: tuple[Workload, ...]
    runs: int
    seconds: int


_ALONE = (
    Workload("data: 4 KiB read, depth 1", "randread", "4k", 1),
    Workload("data: 4 KiB write, depth 1", "randwrite", "4k", 1),
)
_MANY = (
    Workload("data: 4 KiB read, depth 16", "randread", "4k", 16),
    Workload("data: 4 KiB write, depth 16", "randwrite", "4k", 16),
)
_IN_A_ROW = (
    Workload("data: 1 MiB read, depth 4", "read", "1m", 4),
    Workload("data: 1 MiB write, depth 4", "write", "1m", 4),
)

DEFAULT = Sizes(_ALONE + _MANY + _IN_A_ROW, runs=3, seconds=2)
QUICK = Sizes(_ALONE + _IN_A_ROW, runs=1, seconds=1)


class DataPath:
    """One boot of a node in which both drivers export a volume to two hosts.

    Args:
        single: the node, up and empty.
        report: where the records go.
        sizes: how much is measured.
    """

    def __init__(self, single: SingleNode, report: Report, sizes: Sizes) -> None:
        self._node, self._report, self._sizes = single.node, report, sizes

    def run(self) -> None:
        """Measure all, both drivers in turn.

        Raises:
            LabError: the kernel reported a fault of its own meanwhile.
        """
        with contextlib.ExitStack() as stack:
            self._told: dict[str, dict[str, str]] = {}
            self._guest("learn_the_disk")
            disks = {name: stack.enter_context(self._disks(name)) for name in _DRIVERS}
            self._report.header[DIFFERS] = self._differing()
            for workload in self._sizes.workloads:
                for hosts in range(1, len(_HOSTS) + 1):
                    self._measure(workload, hosts, disks)
        if trouble := self._node.kernel.trouble():
            raise LabError(f"the kernel reports: {trouble}")

    def _measure(
        self, workload: Workload, hosts: int, disks: dict[str, list[str]]
    ) -> None:
        taken: dict[str, list[tuple[float, int]]] = {name: [] for name in disks}
        for _run in range(self._sizes.runs):
            for name, paths in disks.items():
                seconds = self._guest(
                    "measure",
                    paths[:hosts],
                    workload.pattern,
                    workload.block,
                    workload.depth,
                    _PART,
                    self._sizes.seconds,
                )
                taken[name].append((seconds, 0))
        for name, runs in taken.items():
            self._report.add(Record.of(workload.name, name, 1, runs, hosts))

    @contextlib.contextmanager
    def _disks(self, driver: str) -> Iterator[list[str]]:
        """Give one volume's disks on two hosts."""
        with self._node.session() as call:
            call("bench.guest.driver", "start", _DRIVERS[driver])
            volume = call.backend("create_volume")
            told = {}
            for host in _HOSTS:
                name = f"{driver}-{host}"
                connector = call("lab.guest.initiators", "connector", name)
                told[name] = call.backend("attach", volume, connector)
            paths = [
                call("lab.guest.initiators", "login", name, information)
                for name, information in told.items()
            ]
            self._guest("fill", paths[0], _PART * len(paths))
            (target,) = {information["target_iqn"] for information in told.values()}
            self._told[driver] = self._guest("attributes", target)
            print(f"a volume of {driver} is filled and has two hosts", flush=True)
            yield paths
            for name, information in told.items():
                call("lab.guest.initiators", "logout", name, information)
                call.backend("detach", information["attachment_id"])
            call.backend("delete_volume", volume)

    def _differing(self) -> dict[str, dict[str, str]]:
        """Give the differences of the two drivers' exports, as ``{name: {...}}``."""
        names = sorted({name for told in self._told.values() for name in told})
        both = {
            name: {driver: told.get(name, "") for driver, told in self._told.items()}
            for name in names
        }
        return {name: two for name, two in both.items() if len({*two.values()}) > 1}

    def _guest(self, function: str, *arguments: Any) -> Any:
        return self._node.call("bench.guest.data_path", function, *arguments)
