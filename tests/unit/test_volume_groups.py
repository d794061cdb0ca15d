# SPDX-License-Identifier: Apache-2.0
"""Volume groups are those that Cinder's own LVM commands see."""

import pytest

from taikun_cinder import volume_groups
from taikun_cinder.volume_groups import Hidden


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
