# SPDX-License-Identifier: Apache-2.0
"""The same disk by both drivers: what applications on one host and on two get of it."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from bench.report import Record, Report
from lab.node import Call
from lab.single import SingleNode

#: Of each host's part of the volume, in MiB.
_PART = 128

_HOSTS = ("one", "two")


@dataclasses.dataclass(frozen=True)
class Workload:
    """What an application does.

    Attributes:
        name: in words.
        kind: fio's name for it.
        block: the size of each read or write.
        depth: how many of them are under way.
    """

    name: str
    kind: str
    block: str
    depth: int


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        workloads: what.
        runs: how many times.
        seconds: each time for how long.
    """

    workloads: tuple[Workload, ...]
    runs: int
    seconds: int


_ALONE = (
    Workload("4 KiB read, alone", "randread", "4k", 1),
    Workload("4 KiB write, alone", "randwrite", "4k", 1),
)
_MANY = (
    Workload("4 KiB read, of 16", "randread", "4k", 16),
    Workload("4 KiB write, of 16", "randwrite", "4k", 16),
    Workload("1 MiB read, of 4", "read", "1m", 4),
    Workload("1 MiB write, of 4", "write", "1m", 4),
)

DEFAULT = Sizes(_ALONE + _MANY, runs=3, seconds=2)
QUICK = Sizes(_ALONE, runs=1, seconds=1)


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
        """Measure all, both drivers in turn."""
        with self._disks("IN_TREE") as in_tree, self._disks("OURS") as ours:
            disks = {"in-tree": in_tree, "ours": ours}
            for workload in self._sizes.workloads:
                for hosts in (1, 2):
                    self._measure(workload, hosts, disks)

    def _measure(
        self, workload: Workload, hosts: int, disks: dict[str, list[str]]
    ) -> None:
        taken: dict[str, list[tuple[float, int]]] = {name: [] for name in disks}
        for _run in range(self._sizes.runs):
            for name, paths in disks.items():
                seconds = self._guest(
                    "measure",
                    paths[:hosts],
                    workload.kind,
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
            call("bench.guest.driver", "start", driver)
            volume = _driver(call, "create_volume")
            names = [f"{driver.lower().replace('_', '-')}-{host}" for host in _HOSTS]
            told = {}
            for name in names:
                connector = call("lab.guest.initiators", "connector", name)
                told[name] = _driver(call, "attach", volume, connector)
            paths = [
                call("lab.guest.initiators", "login", *one) for one in told.items()
            ]
            self._guest("fill", paths[0], _PART * len(paths))
            self._note(driver, told[names[0]]["target_iqn"])
            yield paths
            for name, information in told.items():
                call("lab.guest.initiators", "logout", name, information)
                _driver(call, "detach", information["attachment_id"])
            _driver(call, "delete_volume", volume)

    def _note(self, driver: str, target: str) -> None:
        """Keep how the volume is exported, as far as the two drivers differ in it."""
        found = self._guest("attributes", target)
        known = self._report.header.setdefault("export, as far as it differs", {})
        if not known:
            known.update({name: {driver: value} for name, value in found.items()})
            return
        for name, value in found.items():
            of_other = known.pop(name, {})
            if value not in of_other.values():
                known[name] = {**of_other, driver: value}

    def _guest(self, function: str, *arguments: Any) -> Any:
        return self._node.call("bench.guest.data_path", function, *arguments)


def _driver(call: Call, method: str, *arguments: Any) -> Any:
    return call("lab.guest.volume", "call", method, *arguments)
