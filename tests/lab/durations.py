# SPDX-License-Identifier: Apache-2.0
"""How long the lab's tests take, so that turns and processes get equal shares.

    python -m tests.lab.durations LOG ...

The seconds are in ``durations.json``. They come from the logs of runs, as pytest tells
them with ``--durations 0``, and the shortest counts: it was measured when least else
was going on. What a log does not have stays as it is. A test that is in no log is taken
for a short one.
"""

import functools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

_FILE = Path(__file__).with_suffix(".json")

#: What a test is taken for that was never measured, in seconds.
_SHORT = 2.0

_LINE = re.compile(r"([0-9.]+)s call +tests/lab/(.+)")

#: What pytest-xdist adds to the name of a test that runs in a group.
_GROUP = re.compile(r"@cluster-\S+$")


def of(item: pytest.Item) -> float:
    """Give the seconds that a test takes, without what it needs to begin."""
    return _known().get(_name(item.nodeid.removeprefix("tests/lab/")), _SHORT)


@functools.cache
def _known() -> Mapping[str, float]:
    found: dict[str, float] = json.loads(_FILE.read_text())
    return found


def _name(id_: str) -> str:
    return _GROUP.sub("", id_.strip())


def _read(lines: Iterable[str]) -> Iterator[tuple[str, float]]:
    for line in lines:
        if match := _LINE.match(line):
            yield _name(match[2]), round(float(match[1]), 1)


def _main(logs: Iterable[str]) -> None:
    new: dict[str, float] = {}
    for log in logs:
        for name, seconds in _read(Path(log).read_text(errors="replace").splitlines()):
            new[name] = min(seconds, new.get(name, seconds))
    there = {path.name for path in _FILE.parent.glob("test_*.py")}
    known = {
        name: seconds
        for name, seconds in {**_known(), **new}.items()
        if name.partition("::")[0] in there
    }
    _FILE.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n")
    print(f"{len(new)} tests are in the logs, {len(known)} are known now")


if __name__ == "__main__":
    _main(sys.argv[1:])
