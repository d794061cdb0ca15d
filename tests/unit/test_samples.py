# SPDX-License-Identifier: Apache-2.0
"""What is shipped in etc/ is what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cinder import policies as cinder_policies
from oslo_policy import _parser

from taikun_cinder import policies

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "etc/policy.d").iterdir())


@pytest.mark.parametrize(
    ("generator", "settings", "sample"),
    [
        ("oslo-config-generator", "config-generator.conf", "cinder.conf.sample"),
        ("oslopolicy-sample-generator", "policy-generator.conf", "policy.yaml.sample"),
    ],
)
def test_sample_is_not_stale(tmp_path, generator, settings, sample):
    made = tmp_path / sample
    command = [Path(sys.executable).with_name(generator)]
    subprocess.run(
        [*command, "--config-file", f"etc/{settings}", "--output-file", made],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    shipped = ROOT / "etc" / sample
    assert made.read_text() == shipped.read_text(), "run tox -e samples"


def test_documented_rules_are_cinders_own():
    cinders = {rule.name: rule for rule in cinder_policies.list_rules()}
    for rule in policies.list_rules():
        assert rule.check_str == cinders[rule.name].check_str


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profile_says_something_of_each_rule(profile):
    rules = yaml.safe_load(profile.read_text())
    assert rules.keys() == {rule.name for rule in policies.list_rules()}
    for check in rules.values():
        parsed = _parser.parse_rule(check)
        # What cannot be parsed is refused to everybody, and only logged.
        assert str(parsed) != "!" or check == "!"
