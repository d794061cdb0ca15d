# SPDX-License-Identifier: Apache-2.0
"""Volume groups are those that Cinder's own LVM commands see."""

from pathlib import Path

import pytest
from oslo_concurrency.processutils import ProcessExecutionError

from taikun_cinder import volume_groups
from taikun_cinder.exception import ActivationRefused
from taikun_cinder.volume_groups import Group, Hidden


def _foreign(system, lock):
    return Hidden(("/dev/sdb",), system, lock, by_configuration=False)


@pytest.mark.parametrize("wanted", ["cinder-volumes", "missing"])
def test_volume_groups_are_listed_as_lvm_shows_them_to_cinder(
    configure, lvm_command, wanted
):
    conf = configure(lvm_conf_file=str(lvm_command), volume_group=wanted)
    assert volume_groups.names(conf) == ["cinder-volumes"]


@pytest.mark.parametrize(
    ("usual", "everywhere", "found"),
    [
        ("", "  fast|||/dev/sdb", Hidden(("/dev/sdb",), "", "", by_configuration=True)),
        (
            "  other|||/dev/sda",
            "  other|||/dev/sda\n  fast|||/dev/sdb\n  fast|||/dev/sdc",
            Hidden(("/dev/sdb", "/dev/sdc"), "", "", by_configuration=True),
        ),
        ("  fast|n2||/dev/sdb", "  fast|n2||/dev/sdb", _foreign("n2", "")),
        ("  fast||dlm|/dev/sdb", "  fast||dlm|/dev/sdb", _foreign("", "dlm")),
        ("  other|||/dev/sda", "  other|||/dev/sda", None),
        ("", "  faster|||/dev/sdb", None),
        ("", "", None),
    ],
)
def test_volume_group_that_lvm_hides_is_found(
    cinder, lvm_command, usual, everywhere, found
):
    script = (
        f"#!/bin/sh\ncase \"$*\" in\n*use_devicesfile=0*) echo '{everywhere}' ;;\n"
        f"*) echo '{usual}' ;;\nesac\n"
    )
    (lvm_command.parent / "bin/vgs").write_text(script)
    assert volume_groups.hidden("fast") == found


def test_lvm_is_opened_once_for_all_volumes_of_a_group(configure, monkeypatch):
    opened, activated, asked = [], [], []

    class Lvm:
        def __init__(self, *arguments, **named):
            opened.append(arguments)

        def activate_lv(self, name):
            activated.append(name)

    monkeypatch.setattr("cinder.brick.local_dev.lvm.LVM", Lvm)
    monkeypatch.setattr(volume_groups.Group, "refresh", lambda self, name: None)

    def rows():
        asked.append("vgs")
        return iter(())

    monkeypatch.setattr(volume_groups, "_rows", rows)
    monkeypatch.setattr(volume_groups, "_LVMLOCKD", Path("/"))
    group = volume_groups.Group.of(configure(volume_group="missing"))
    group.activate("volume-1")
    group.activate("volume-2")
    assert activated == ["volume-1", "volume-2"]
    assert len(opened) == len(asked) == 1


@pytest.fixture
def shared(configure, monkeypatch, tmp_path):
    """Return a function that gives a shared group, and LVM's commands so far."""
    commands: list[str] = []

    def shared(refused=""):
        class Lvm:
            def activate_lv(self, name):
                commands.append(f"lvchange {name}")
                if refused:
                    raise ProcessExecutionError(stderr=refused, exit_code=5)

        monkeypatch.setattr(volume_groups.Group, "refresh", lambda self, name: None)
        return Group("cinder-volumes", Lvm, tmp_path / "records")

    def rows():
        commands.append("vgs")
        yield ["other", "", "", "/dev/sdc"]
        yield ["cinder-volumes", "", "dlm", "/dev/sdb"]

    monkeypatch.setattr(volume_groups, "_rows", rows)
    monkeypatch.setattr(volume_groups, "_LVMLOCKD", Path("/"))
    return shared, commands


def test_nothing_is_activated_of_a_shared_group_that_is_started_elsewhere(shared):
    make, commands = shared
    with pytest.raises(ActivationRefused) as refused:
        make().activate("volume-1")
    assert commands == ["vgs"]
    assert (
        "cinder-volumes is a volume group that nodes share (dlm)" in refused.value.cause
    )
    assert "taikun_state_path" in refused.value.cause
    assert "crm_mon" in refused.value.cure


def test_node_without_lvmlockd_asks_lvm_nothing_more(shared, monkeypatch):
    make, commands = shared
    monkeypatch.setattr(volume_groups, "_LVMLOCKD", Path("/no/such/socket"))
    make().activate("volume-1")
    assert commands == ["lvchange volume-1"]


def test_lvmlockd_that_starts_later_is_heard_of(shared, monkeypatch):
    make, commands = shared
    group = make()
    with monkeypatch.context() as patch:
        patch.setattr(volume_groups, "_LVMLOCKD", Path("/no/such/socket"))
        assert group.lock == ""
    with pytest.raises(ActivationRefused):
        group.activate("volume-1")
    assert commands == ["vgs"]


def test_shared_group_is_started_where_its_state_volume_is_mounted(
    shared, mount_state_volume
):
    make, commands = shared
    mount_state_volume()
    make().activate("volume-1")
    assert commands == ["lvchange volume-1"]


def test_state_volume_of_another_group_says_nothing(shared, mount_state_volume):
    make, commands = shared
    mount_state_volume("cinder--volumes2-state")
    with pytest.raises(ActivationRefused):
        make().activate("volume-1")
    assert commands == ["vgs"]


def test_volume_that_is_active_elsewhere_is_named_with_what_to_do(
    shared, mount_state_volume
):
    make, commands = shared
    mount_state_volume()
    group = make("  LV locked by other host: cinder-volumes/volume-1\n")
    with pytest.raises(ActivationRefused) as refused:
        group.activate("volume-1")
    assert commands == ["lvchange volume-1"]
    assert "another node has cinder-volumes/volume-1 active" in refused.value.cause
    assert "lvchange -an cinder-volumes/volume-1" in refused.value.cure


def test_thin_volume_names_its_pool_that_is_active_elsewhere(
    shared, mount_state_volume
):
    make, _ = shared
    mount_state_volume()
    group = make("  LV locked by other host: cinder-volumes/cinder-volumes-pool\n")
    with pytest.raises(ActivationRefused) as refused:
        group.activate("volume-1")
    pool = "cinder-volumes/cinder-volumes-pool"
    assert f"another node has {pool} active, which cinder-volumes/volume-1 is in" in (
        refused.value.cause
    )
    assert f"lvchange -an {pool}" in refused.value.cure


def test_any_other_refusal_of_lvms_is_told_in_its_own_words(shared, mount_state_volume):
    make, _ = shared
    mount_state_volume()
    with pytest.raises(ProcessExecutionError, match="device is missing"):
        make("a device is missing").activate("volume-1")
