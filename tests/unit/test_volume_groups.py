# SPDX-License-Identifier: Apache-2.0
"""Volume groups are those that Cinder's own LVM commands see."""

import pytest

from taikun_cinder import volume_groups


@pytest.mark.parametrize("wanted", ["cinder-volumes", "missing"])
def test_volume_groups_are_listed_as_lvm_shows_them_to_cinder(
    configure, lvm_command, wanted
):
    conf = configure(lvm_conf_file=str(lvm_command), volume_group=wanted)
    assert volume_groups.names(conf) == ["cinder-volumes"]


def test_lvm_is_opened_once_for_all_volumes_of_a_group(configure, monkeypatch):
    opened, activated = [], []

    class Lvm:
        def __init__(self, *arguments, **named):
            opened.append(arguments)

        def activate_lv(self, name):
            activated.append(name)

    monkeypatch.setattr("cinder.brick.local_dev.lvm.LVM", Lvm)
    monkeypatch.setattr(volume_groups.Group, "refresh", lambda self, name: None)
    group = volume_groups.Group.of(configure(volume_group="missing"))
    group.activate("volume-1")
    group.activate("volume-2")
    assert activated == ["volume-1", "volume-2"]
    assert len(opened) == 1
