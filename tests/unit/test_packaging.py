# SPDX-License-Identifier: Apache-2.0
"""The entry points of the installed package, and the imports of its pure part."""

import configparser
import importlib.metadata
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_entry_points_can_be_loaded():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for group, lines in setup["entry_points"].items():
        for line in lines.strip().splitlines():
            name, _, value = (part.strip() for part in line.partition("="))
            assert callable(importlib.metadata.EntryPoint(name, value, group).load())


def test_pure_decisions_import_neither_cinder_nor_rtslib():
    script = (
        "import sys, taikun_cinder.access.ledger\n"
        "sys.exit(any(m.partition('.')[0] in ('cinder', 'rtslib_fb', 'oslo_log')"
        " for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == 0
