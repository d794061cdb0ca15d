# SPDX-License-Identifier: Apache-2.0
"""What the guard's look adds to the attach of a second writer."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bench.report import Record, Report
from lab.node import Call
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode

DEFAULT, QUICK = 15, 5

#: By the name of a case: the back end's guard, and what makes the volume's content.
_CASES = {
    "off": ("off", "true"),
    "blank": ("deny", "true"),
    "ext4": ("warn", "mkfs.ext4 -q -F"),
}

_OPERATIONS = ("further attach", "attachment_update")


class Guard:
    """One boot of a node in which drivers with and without a guard take turns.

    Args:
        single: the node, up and empty.
        report: where the records go.
        runs: how many times each is measured.
    """

    def __init__(self, single: SingleNode, report: Report, runs: int) -> None:
        self._node, self._report, self._runs = single.node, report, runs

    def run(self) -> None:
        """Measure all, and tell the ratios."""
        with contextlib.ExitStack() as drivers:
            cases = {}
            for name, (guard, fill) in _CASES.items():
                driver = drivers.enter_context(self._driver(guard))
                cases[name] = driver, self._volume(driver, fill)
            taken: dict[tuple[str, str], list[Any]] = {}
            for run in range(-1, self._runs):
                for name, (driver, volume) in cases.items():
                    for cycle in ("cycle", "managed_cycle"):
                        told = driver.backend(cycle, volume)
                        for operation in told.keys() & _OPERATIONS:
                            # The first one finds nothing warm.
                            known = taken.setdefault((operation, name), [])
                            known.extend([told[operation]] if run >= 0 else [])
        for (operation, name), runs in sorted(taken.items()):
            self._report.add(Record.of(operation, name, 1, runs))
        for operation in _OPERATIONS:
            without = self._report.median(operation, "off", 1)
            for name in _CASES.keys() - {"off"}:
                ratio = self._report.median(operation, name, 1) / without
                print(f"{operation}, {name}: {ratio:.1f} times that without a guard")

    @contextlib.contextmanager
    def _driver(self, guard: str) -> Iterator[Call]:
        with self._node.session() as call:
            options = {"taikun_filesystem_guard": guard}
            call("bench.guest.driver", "start", "OURS", options)
            yield call

    def _volume(self, driver: Call, fill: str) -> str:
        volume = str(driver.backend("create_volume"))
        self._node.run(f"{fill} /dev/{VOLUME_GROUP}/volume-{volume}")
        return volume
