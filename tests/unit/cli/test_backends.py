# SPDX-License-Identifier: Apache-2.0
"""A command can look at a back end as its driver does, and change nothing."""

from pathlib import Path

import pytest
from cinder.volume import configuration
from oslo_config import cfg

from taikun_cinder import targets
from taikun_cinder.cli import backends
from taikun_cinder.cli.backends import Backend
from taikun_cinder.records import Records
from taikun_cinder.targets.lio.steps import RemoveAcl
from taikun_cinder.targets.lio.target import LioTarget
from taikun_cinder.volume_groups import Group
from tests.unit.cloud import A, B
from tests.unit.memory import name_of


def _backend(cloud):
    options = cloud.driver.configuration
    return Backend(
        cloud.manager.host.partition("@")[2],
        options,
        Group(options.volume_group, lambda: cloud.driver.vg),
        lambda: cloud.target,
        Records(Path(options.taikun_state_path)),
    )


def test_what_a_reconcile_would_do_is_told_and_not_done(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    backend = _backend(cloud)
    assert backend.exports.findings(cloud.load(volume)) == ()
    name = name_of(cloud.load(volume))
    initiator = next(
        host for host in cloud.target.read(name).hosts if str(host) == B["initiator"]
    )
    cloud.target.kernel.take(name, RemoveAcl(initiator))
    before = cloud.target.kernel.read(name)
    (finding,) = backend.exports.findings(cloud.load(volume), sweep=60)
    assert (finding.initiator, finding.step) == (
        initiator,
        f"CreateAcl(initiator={initiator!r})",
    )
    assert cloud.target.kernel.read(name) == before
    cloud.reconcile()
    assert backend.exports.findings(cloud.load(volume)) == ()


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
        found = backends.enabled(complaints.append)
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
