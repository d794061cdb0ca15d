# SPDX-License-Identifier: Apache-2.0
"""The check of the metrics' folder, which a start does not wait for."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder import option_faults
from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Finding, of_problems, ok, warning
from taikun_cinder.cli.backends import Backend
from taikun_cinder.monitoring import textfile

_OPTION = "taikun_metrics_folder"

#: What the files of a back end take, at most.
_ROOM = 64 * 1024

#: From this age on, in seconds, a file is one that nobody writes any more.
_OLD = 600


def _metrics(facts: Facts, backend: Backend) -> Iterator[Finding]:
    if option_faults.unreadable(backend.options, _OPTION):
        raise Unanswered("options")
    option = getattr(backend.options, _OPTION)
    if not option:
        yield ok("No metrics are written")
        return
    problems = list(textfile.problems(option, facts.node))
    folder = Path(option)
    found = [*of_problems(problems, "")] if problems else [*_unwritable(folder)]
    found.extend(_left_behind(folder, {*map(textfile.file_name, facts.hosts)}))
    yield from found or [ok(f"Metrics can be written to {folder}")]


def _unwritable(folder: Path) -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
            file.flush()
    except OSError as error:
        yield warning(
            f"No metrics can be written to {folder} (option {_OPTION}): "
            f"{error.strerror}",
            "See that the folder is there, with room on its disk, and let the user of "
            "cinder-volume write to it (page Monitoring).",
        )


def _left_behind(folder: Path, own: set[str]) -> Iterator[Finding]:
    before = time.time() - _OLD
    old = [
        file
        for file in sorted(folder.glob(textfile.FILES))
        if file.name not in own and file.stat().st_mtime < before
    ]
    if old:
        yield warning(
            f"{len(old)} file(s) of metrics, such as {old[0]}, are of a back end that "
            "this node does not have, and nobody writes them any more: their alert "
            "TaikunCinderMetricsStale does not end",
            f"If that back end was removed or renamed, run rm {old[0]}.",
        )


CHECKS = (
    BackendCheck(
        "metrics",
        "The folder of the metrics, if there is one, is on a disk of the node and can "
        "be written, and no file of a removed back end is left in it.",
        _metrics,
        late="See whether its disk answers (dmesg).",
        as_service=True,
    ),
)
