# SPDX-License-Identifier: Apache-2.0
"""The records of what was measured, their table, and the ratios."""

import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Record:
    """An operation that was measured several times.

    Attributes:
        operation: what was done.
        driver: ``in-tree``, ``ours``, ``rtslib``, ``configfs``, or ``none``: a driver
            that does nothing. For the guard, a case of ours, see ``bench.guard``.
        exports: how many volumes were exported beside it, with two hosts each.
        hosts: how many hosts it served.
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
        seconds = [sample[0] for sample in taken]
        return cls(
            operation,
            driver,
            exports,
            hosts,
            len(taken),
            statistics.median(seconds),
            min(seconds),
            max(seconds),
            statistics.median(sample[1] for sample in taken),
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
        for record in self.records:
            if (
                record.operation,
                record.driver,
                record.exports,
                record.hosts,
            ) == wanted:
                return record.median_s
        return None

    def write(self, path: Path) -> None:
        """Write the header and the records as a list in JSON."""
        records = [dataclasses.asdict(record) for record in self.records]
        path.write_text(json.dumps([self.header, *records], indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read what :meth:`write` wrote."""
        header, *records = json.loads(path.read_text())
        report = cls(header)
        report.records = [Record(**record) for record in records]
        return report

    def table(self) -> str:
        """Give all records as text, an operation after the other."""
        order = {
            record.operation: at for at, record in reversed([*enumerate(self.records)])
        }
        ordered = sorted(
            self.records,
            key=lambda record: (
                order[record.operation],
                record.hosts,
                record.exports,
                record.driver,
            ),
        )
        head = (
            f"{'operation':34}{'exports':>8}{'hosts':>6}  {'driver':9}"
            f"{'runs':>5}{'median s':>12}{'min s':>12}{'max s':>12}{'commands':>10}"
        )
        return "\n".join([head, *map(_row, ordered)])

    def ratios(self) -> Iterator[str]:
        """Say how many times faster ours is, wherever both were measured."""
        for record in self.records:
            if record.driver != "in-tree":
                continue
            ours = self.median(record.operation, "ours", record.exports, record.hosts)
            if ours:
                yield (
                    f"{record.operation}, {record.exports} exports, "
                    f"{record.hosts} host(s): in-tree / ours = "
                    f"{record.median_s / ours:.1f}"
                )


def _line(record: Record) -> str:
    return (
        f"  {record.operation} ({record.driver}, {record.exports} exports, "
        f"{record.hosts} host(s)): {record.median_s:.4g} s "
        f"({record.min_s:.4g} to {record.max_s:.4g})"
    )


def _row(record: Record) -> str:
    return (
        f"{record.operation:34}{record.exports:8}{record.hosts:6}  "
        f"{record.driver:9}{record.runs:5}{record.median_s:12.4g}"
        f"{record.min_s:12.4g}{record.max_s:12.4g}{record.processes:10.0f}"
    )
