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
