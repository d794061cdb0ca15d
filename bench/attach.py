# SPDX-License-Identifier: Apache-2.0
"""Attach and detach, over the number of exports: in-tree, ours, and the floor."""

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator
from typing import Any

from bench.report import Record, Report
from lab.node import Call
from lab.single import SingleNode

#: One call may take as long: the in-tree driver's restore of many exports.
_PATIENCE = 3600.0

_OPERATIONS = (
    "first attach",
    "further attach",
    "repeated attach",
    "detach",
    "last detach",
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The extent of the measurement.

    Attributes:
        exports: for how many exports ours and the floor are measured.
        in_tree: for how many of these the in-tree driver is, and how many times.
        managed: up to how many of these through Cinder's manager, too.
        runs: how many times ours is.
        at_once: for how many exports hosts attach at once, by the bare driver.
        managed_at_once: for how many of these through the manager, too.
        restores: for how many exports the in-tree driver's restore is measured.
    """

    exports: tuple[int, ...]
    in_tree: dict[int, int]
    managed: int
    runs: int
    at_once: tuple[int, ...]
    managed_at_once: tuple[int, ...]
    restores: tuple[int, ...]


DEFAULT = Sizes(
    exports=(1, 10, 100, 500, 1000),
    # Beside 500 exports each takes minutes; beside 1,000 it is not tried.
    in_tree={1: 2, 10: 2, 100: 1, 500: 1},
    managed=100,
    runs=15,
    at_once=(10, 1000),
    managed_at_once=(10,),
    restores=(100,),
)
QUICK = Sizes(
    exports=(10, 100),
    in_tree={10: 1},
    managed=10,
    runs=5,
    at_once=(10,),
    managed_at_once=(),
    restores=(),
)


class Attach:
    """One boot of a node in which both drivers serve the same kernel.

    Args:
        single: the node, up and empty.
        report: where the records go.
        sizes: how much is measured.
    """

    def __init__(self, single: SingleNode, report: Report, sizes: Sizes) -> None:
        self._node, self._report, self._sizes = single.node, report, sizes
        self._ids: list[str] = []

    def run(self) -> None:
        """Measure all."""
        self._node.call("bench.guest.logical_volumes", "make_room")
        with self._driver("IN_TREE") as in_tree, self._driver("OURS") as ours:
            self._drivers = {"in-tree": in_tree, "ours": ours}
            self._volumes = {
                name: driver.backend("create_volume")
                for name, driver in self._drivers.items()
            }
            for exports in self._sizes.exports:
                self._fill(exports)
                self._measure(exports)

    @contextlib.contextmanager
    def _driver(self, which: str) -> Iterator[Call]:
        with self._node.session(_PATIENCE) as call:
            call("bench.guest.driver", "start", which)
            yield call

    def _fill(self, exports: int) -> None:
        new = [str(uuid.uuid4()) for _ in range(exports - len(self._ids))]
        if not new:
            return
        began = time.monotonic()
        names = [f"volume-{volume_id}" for volume_id in new]
        self._node.call("bench.guest.logical_volumes", "create", names)
        # In a process that ends then: ours is to hold no more than in-tree's when the
        # two are measured.
        with self._driver("OURS") as other:
            other.backend("fill", new)
        self._ids += new
        took = time.monotonic() - began
        print(f"{exports} volumes with two hosts each ({took:.0f} s)", flush=True)

    def _measure(self, exports: int) -> None:
        self._floor(exports)
        self._cycles(exports, "cycle")
        self._cycles(exports, "managed_cycle")
        for _name, driver in self._both(exports):
            driver.backend("stats")  # what is not to be measured: its first time
        self._each(exports, "update of stats", "stats")
        self._at_once(exports)
        self._alone(exports, "reconcile pass", "pass_once")
        self._alone(exports, "privsep round trip", "round_trip")
        self._alone(exports, "query of attachments", "query", self._ids[0])
        self._alone(exports, "the same, Cinder's", "cinders_query", self._ids[0])
        self._restore(exports)

    def _floor(self, exports: int) -> None:
        target = f"iqn.2010-10.org.openstack:volume-{self._ids[0]}"
        with self._node.session(_PATIENCE) as call:
            for method in ("configfs", "rtslib"):
                runs = call(
                    "bench.guest.floor", "runs", method, target, self._sizes.runs
                )
                for operation, at in (("further attach", 0), ("detach", 1)):
                    taken = [(run[at], 0) for run in runs]
                    self._add(operation, method, exports, taken)

    def _cycles(self, exports: int, cycle: str) -> None:
        """Measure both in turn, so that what disturbs one disturbs the other."""
        cycles: dict[str, list[dict[str, Any]]] = {"in-tree": [], "ours": []}
        for at in range(self._sizes.runs):
            for name, driver in self._drivers.items():
                if at < self._runs(name, exports, cycle):
                    cycles[name].append(driver.backend(cycle, self._volumes[name]))
        for name, runs in cycles.items():
            for operation in runs[0] if runs else ():
                if operation == "inside":
                    inside = [(run["inside"], 0) for run in runs]
                    self._add("attachment_update, in the driver", name, exports, inside)
                else:
                    self._add(
                        operation, name, exports, [run[operation] for run in runs]
                    )

    def _runs(self, driver: str, exports: int, cycle: str = "") -> int:
        if driver == "ours":
            return self._sizes.runs
        if cycle == "managed_cycle" and exports > self._sizes.managed:
            return 0
        return self._sizes.in_tree.get(exports, 0)

    def _both(self, exports: int) -> Iterator[tuple[str, Call]]:
        for name, driver in self._drivers.items():
            if self._runs(name, exports):
                yield name, driver

    def _each(self, exports: int, operation: str, method: str) -> None:
        taken: dict[str, list[Any]] = {name: [] for name, _ in self._both(exports)}
        for _run in range(self._sizes.runs):
            for name, driver in self._both(exports):
                taken[name].append(driver.backend(method))
        for name, runs in taken.items():
            self._add(operation, name, exports, runs)

    def _at_once(self, exports: int) -> None:
        if exports not in self._sizes.at_once:
            return
        # In a process that ends then, as in _fill(): 64 threads leave so much memory
        # behind that each command after them takes a tenth longer to start.
        with self._driver("OURS") as ours:
            volume = self._volumes["ours"]
            for hosts in (8, 64):
                taken = ours.backend("at_once", volume, hosts, False)
                self._add("at once, the driver", "ours", exports, [taken], hosts)
            if exports in self._sizes.managed_at_once:
                self._managed_at_once(exports, ours)

    def _managed_at_once(self, exports: int, ours: Call) -> None:
        # In-tree, 64 hosts would take a quarter of an hour.
        drivers = {"in-tree": self._drivers["in-tree"], "ours": ours}
        for hosts, names in ((8, ("in-tree", "ours")), (64, ("ours",))):
            for name in names:
                volume = self._volumes[name]
                taken = drivers[name].backend("at_once", volume, hosts, True)
                self._add("at once, the manager", name, exports, [taken], hosts)
        alone = ours.backend("manager_alone", self._volumes["ours"], 64)
        self._add("at once, the manager", "none", exports, [alone], 64)

    def _alone(
        self, exports: int, operation: str, method: str, *arguments: Any
    ) -> None:
        runs = [self._drivers["ours"].backend(method, *arguments) for _ in range(3)]
        self._add(operation, "ours", exports, runs)

    def _restore(self, exports: int) -> None:
        ours, in_tree = self._drivers["ours"], self._drivers["in-tree"]
        if exports in self._sizes.restores:
            self._node.run("cinder-rtstool save", timeout=600)
            ours.backend("clear", self._ids)
            self._add(
                "restore",
                "in-tree",
                exports,
                [in_tree.backend("restore", self._ids)],
                2,
            )
        ours.backend("clear", self._ids)
        self._add("restore", "ours", exports, [ours.backend("restore", self._ids)], 2)

    def _add(
        self,
        operation: str,
        driver: str,
        exports: int,
        taken: list[Any],
        hosts: int = 1,
    ) -> None:
        self._report.add(Record.of(operation, driver, exports, taken, hosts))
