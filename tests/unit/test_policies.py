# SPDX-License-Identifier: Apache-2.0
"""The policies that are shipped in etc/ are Cinder's own, and can be parsed."""

import pytest
import yaml
from cinder import policies as cinder_policies
from oslo_policy import _parser

from taikun_cinder import policies
from tests.unit.samples import ROOT, assert_not_stale

PROFILES = sorted((ROOT / "etc/policy.d").iterdir())


def test_sample_policy_is_not_stale(tmp_path):
    generator, settings = "oslopolicy-sample-generator", "policy-generator.conf"
    assert_not_stale(tmp_path, generator, settings, "policy.yaml.sample")


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
