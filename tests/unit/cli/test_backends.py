# SPDX-License-Identifier: Apache-2.0
"""A command can look at a back end as its driver does, and change nothing."""

import pytest
from cinder.volume import configuration
from oslo_config import cfg

from taikun_cinder import targets
from taikun_cinder.cli import backends
from taikun_cinder.targets.lio.target import LioTarget


@pytest.fixture
def complaints() -> list[str]:
    """Give what is complained of."""
    return []


@pytest.fixture
def enabled(monkeypatch, tmp_path, complaints):
    """Return a function that gives the back ends of a cinder.conf, by name."""

    def read(text):
        file = tmp_path / "cinder.conf"
        file.write_text(f"[DEFAULT]\nhost = node\n{text}")
        conf = cfg.ConfigOpts()
        conf.register_opts(
            [
                cfg.StrOpt("host"),
                cfg.StrOpt("my_ip", default="192.0.2.11"),
                cfg.StrOpt("state_path", default=str(tmp_path)),
                cfg.ListOpt("enabled_backends"),
            ]
        )
        conf(["--config-file", str(file)])
        monkeypatch.setattr(configuration, "CONF", conf)
        monkeypatch.setattr(cfg, "CONF", conf)
        found = backends.enabled(backends.Backend, complaints.append)
        return {backend.name: backend for backend in found}

    return read


OURS = f"volume_driver = {backends.DRIVER}\n"


@pytest.mark.parametrize("helper", ["", "target_helper = LIOADM\n"])
def test_section_that_names_no_kind_of_target_is_restored_by_the_only_one(
    enabled, helper
):
    found = enabled(f"enabled_backends = lvm\n[lvm]\n{OURS}{helper}")
    assert isinstance(found["lvm"].target, LioTarget)


def test_where_there_are_several_kinds_it_says_which(enabled, monkeypatch):
    path = targets.KINDS["lioadm", "iscsi"]
    kinds = {**targets.KINDS, ("nvmet", "nvmet_tcp"): path}
    monkeypatch.setattr(targets, "KINDS", kinds)
    found = enabled(f"enabled_backends = lvm\n[lvm]\n{OURS}")
    with pytest.raises(LookupError, match=r"\[lvm\].*lioadm with iscsi or nvmet with"):
        assert found["lvm"].target


def test_host_is_the_one_that_cinder_volume_has(enabled):
    found = enabled(
        "enabled_backends = one,two\n[backend_defaults]\nbackend_host = shared\n"
        f"[one]\n{OURS}[two]\nbackend_host = own\n{OURS}"
    )
    assert {backend.host for backend in found.values()} == {"node@one", "own@two"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("enabled_backends = ,lvm\n", ["enabled_backends", "empty name", "comma"]),
        ("enabled_backends = lvm, ,lvm\n", ["enabled_backends", "empty name"]),
        (
            "enabled_backends = lvm,lost\n",
            ["enabled_backends", "names lost", "no section [lost]"],
        ),
        (
            "enabled_backends = lvm,broken\n[broken]\n"
            f"{OURS}taikun_state_path = $nowhere/x\n",
            ["[broken]", "taikun_state_path", "nowhere"],
        ),
        (
            "enabled_backends = lvm,broken\n[broken]\nvolume_driver = $nowhere\n",
            ["[broken]", "nowhere"],
        ),
        (
            "enabled_backends = lvm,broken\n[broken]\n"
            f"{OURS}lvm_conf_file = $nowhere\n",
            ["[broken]", "nowhere"],
        ),
    ],
)
def test_back_end_that_cannot_be_read_is_told_and_keeps_no_other_away(
    enabled, complaints, text, words
):
    assert "lvm" in enabled(f"{text}[lvm]\n{OURS}")
    said = "\n".join(complaints)
    for word in words:
        assert word in said


def test_right_back_ends_are_not_complained_of(enabled, complaints):
    assert enabled(f"enabled_backends = lvm\n[lvm]\n{OURS}").keys() == {"lvm"}
    assert complaints == []
