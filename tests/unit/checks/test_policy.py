# SPDX-License-Identifier: Apache-2.0
"""Which policy profile is in force is told, and what contradicts another."""

import errno
import os
from pathlib import Path

import pytest
import yaml

from taikun_cinder import policies
from taikun_cinder.checks.findings import Outcome

SHIPPED = Path(__file__).resolve().parents[3] / "etc/policy.d"


@pytest.fixture
def files(cinder, tmp_path):
    """Return a function that writes policy files, and makes Cinder read them."""
    before = cinder.oslo_policy.policy_file, cinder.oslo_policy.policy_dirs
    folder = tmp_path / "policy.d"
    folder.mkdir()

    def write(**texts):
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text)
        main = folder.with_name("policy.yaml")
        if "policy" in texts:
            (folder / "policy.yaml").replace(main)
        cinder.set_override("policy_file", str(main), "oslo_policy")
        cinder.set_override("policy_dirs", [str(folder)], "oslo_policy")
        return folder

    yield write
    cinder.set_override("policy_file", before[0], "oslo_policy")
    cinder.set_override("policy_dirs", before[1], "oslo_policy")


def _shipped(name):
    return (SHIPPED / f"multiattach-{name}.yaml").read_text()


def test_profiles_are_those_that_are_shipped():
    shipped = {path.stem.removeprefix("multiattach-") for path in SHIPPED.iterdir()}
    assert shipped == policies.PROFILES.keys()
    for name, rules in policies.PROFILES.items():
        assert yaml.safe_load(_shipped(name)) == rules


@pytest.mark.parametrize("name", sorted(policies.PROFILES))
def test_profile_in_force_is_told(is_right, files, name):
    files(profile=_shipped(name))
    assert f"The profile '{name}' is in force" in is_right("policy")


def test_policies_that_say_nothing_of_it_are_cinders_default(is_right, files):
    files(policy='"volume:create": "!"\n')
    assert "'open'" in is_right("policy")


def test_node_without_policies_cannot_tell(only, files):
    files()
    outcome, text, _ = only("policy")
    assert outcome is Outcome.UNKNOWN
    assert "No policy file is on this node" in text


def test_rules_of_ones_own_are_told(is_right, files):
    files(own='"volume:multiattach": "role:storage"\n')
    assert "volume:multiattach is 'role:storage'" in is_right("policy")


def test_two_profiles_at_once_are_told_with_the_one_that_counts(found, files):
    folder = files(a=_shipped("closed"), b='"volume:multiattach": "rule:admin_api"\n')
    (outcome, text, cure), (_, in_force, _) = found("policy")
    assert outcome is Outcome.WARNING
    assert text.startswith(f"volume:multiattach is set by {folder}/a.yaml")
    assert f"by {folder}/b.yaml, and the latter counts" in text
    assert "Leave it in one of them" in cure
    assert "volume:multiattach is 'rule:admin_api'" in in_force


def test_folder_goes_before_the_file(found, files):
    files(policy=_shipped("closed"), b=_shipped("open"))
    *twice, (_, in_force, _) = found("policy")
    assert len(twice) == 2
    assert "'open'" in in_force


@pytest.mark.parametrize("text", ['"volume:multiattach: x\n', "- a\n- b\n", "word\n"])
def test_file_that_cannot_be_understood_is_told(only, files, text):
    files(broken=text)
    outcome, said, cure = only("policy")
    assert outcome is Outcome.WARNING
    assert "broken.yaml cannot be understood" in said
    assert "oslopolicy-validator" in cure


def test_file_that_may_not_be_read_cannot_be_told(only, files, monkeypatch):
    files(secret="")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    outcome, text, _ = only("policy")
    assert outcome is Outcome.UNKNOWN
    assert "secret.yaml cannot be read: Permission denied" in text


def test_folder_that_may_not_be_listed_cannot_be_told(only, files, monkeypatch):
    folder = files()

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    outcome, text, _ = only("policy")
    assert outcome is Outcome.UNKNOWN
    assert text == f"{folder} cannot be read: Permission denied"
