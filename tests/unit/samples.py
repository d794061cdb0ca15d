# SPDX-License-Identifier: Apache-2.0
"""The samples in etc/, made anew to be compared with those that are shipped."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def assert_not_stale(folder, generator, settings, sample):
    """Check that a generator makes the sample as it is shipped.

    Args:
        folder: to make it in.
        generator: the command.
        settings: the command's configuration file in etc/.
        sample: the file in etc/.
    """
    newest = (ROOT / "constraints.txt").read_text().splitlines()
    if f"cinder=={importlib.metadata.version('cinder')}" not in newest:
        pytest.skip("older libraries of this release write samples in other words")
    made = folder / sample
    command = [Path(sys.executable).with_name(generator)]
    subprocess.run(
        [*command, "--config-file", f"etc/{settings}", "--output-file", made],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    shipped = ROOT / "etc" / sample
    assert made.read_text() == shipped.read_text(), "run tox -e samples"
