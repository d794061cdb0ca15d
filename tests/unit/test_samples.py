# SPDX-License-Identifier: Apache-2.0
"""What is shipped in etc/ is what the code says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_sample_of_the_options_is_not_stale(tmp_path):
    made = tmp_path / "cinder.conf.sample"
    generator = Path(sys.executable).with_name("oslo-config-generator")
    settings = "etc/config-generator.conf"
    subprocess.run(
        [generator, "--config-file", settings, "--output-file", made],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    shipped = ROOT / "etc/cinder.conf.sample"
    assert made.read_text() == shipped.read_text(), "run tox -e samples"
