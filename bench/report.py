# SPDX-License-Identifier: Apache-2.0
"""What was measured: the records, their table, and the ratios."""

import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Record:
    """An operation that was measured some times.

    Attributes:
        operation: what was done.
        driver: by whom: ``in-tree``, ``ours``, ``rtslib``, ``configfs``, or ``none``: a
            driver that does nothing.
        exports: how many volumes were exported beside it, with two hosts each.
        hosts: how many hosts it was for.
        runs: how many times.
        median_s, min_s, max_s: what it took, in seconds.
        processes: how many commands it ran, the median.
    """

    operation: str
    driver: str
    exports: int
    hosts: int
    runs: int
    median_s: float
    min_s: float
    max_s: float
    processes: float

    @classmethod
    def of(
        cls,
        operation: str,
        driver: str,
        exports: int,
        taken: Sequence[tuple[float, int]],
        hosts: int = 1,
    ) -> "Record":
        """Make the record of some runs: the seconds and the commands of each."""
        seconds = [one[0] for one in taken]
        return cls(
            operation,
            driver,
            exports,
            hosts,
            len(taken),
            statistics.median(seconds),
            min(seconds),
            max(seconds),
            statistics.median(one[1] for one in taken),
        )


class Report:
    """The records of one run, beside what it ran on."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.header = header
        self.records: list[Record] = []

    def add(self, record: Record) -> None:
        """Keep a record, and tell it."""
        self.records.append(record)
        print(_line(record), flush=True)

    def median(self, operation: str, driver: str, exports: int, hosts: int = 1) -> Any:
        """Give the median of what was measured, None if it was not."""
        wanted = (operation, driver, exports, hosts)
        for one in self.records:
            if (one.operation, one.driver, one.exports, one.hosts) == wanted:
                return one.median_s
        return None

    def write(self, path: Path) -> None:
        """Write the header and the records as a list in JSON."""
        records = [dataclasses.asdict(one) for one in self.records]
        path.write_text(json.dumps([self.header, *records], indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read what :meth:`write` wrote."""
        header, *records = json.loads(path.read_text())
        report = cls(header)
        report.records = [Record(**one) for one in records]
        return report

    def table(self) -> str:
        """Give all records as text, an operation after the other."""
        order = {one.operation: at for at, one in reversed([*enumerate(self.records)])}
        ordered = sorted(
            self.records,
            key=lambda one: (order[one.operation], one.hosts, one.exports, one.driver),
        )
        head = (
            f"{'operation':34}{'exports':>8}{'hosts':>6}  {'driver':9}"
            f"{'runs':>5}{'median s':>12}{'min s':>12}{'max s':>12}{'commands':>10}"
        )
        return "\n".join([head, *map(_row, ordered)])

    def ratios(self) -> Iterator[str]:
        """Say how many times faster ours is, wherever both were measured."""
        for one in self.records:
            if one.driver != "in-tree":
                continue
            ours = self.median(one.operation, "ours", one.exports, one.hosts)
            if ours:
                yield (
                    f"{one.operation}, {one.exports} exports, {one.hosts} host(s): "
                    f"in-tree / ours = {one.median_s / ours:.1f}"
                )


def _line(one: Record) -> str:
    return (
        f"  {one.operation} ({one.driver}, {one.exports} exports, {one.hosts} "
        f"host(s)): {one.median_s:.4g} s ({one.min_s:.4g} to {one.max_s:.4g})"
    )


def _row(one: Record) -> str:
    return (
        f"{one.operation:34}{one.exports:8}{one.hosts:6}  {one.driver:9}{one.runs:5}"
        f"{one.median_s:12.4g}{one.min_s:12.4g}{one.max_s:12.4g}{one.processes:10.0f}"
    )
