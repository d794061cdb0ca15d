# SPDX-License-Identifier: Apache-2.0
"""A migration within a node: for a while, two rows have one name (law 1).

When Cinder has copied a volume to another back end it swaps the names of the two rows,
says that the volume is available, and deletes the source behind that. Both back ends
export by the same LIO.
"""

import pytest

from taikun_cinder.exception import VolumeHeld
from tests.unit.cloud import A, Cloud


@pytest.fixture
def source(cloud, configure, volume_type):
    """Give the back end, on the same node, that volumes are migrated from."""
    source = Cloud(configure(volume_group="cinder-old").config_group, volume_type)
    yield source
    source.end_driver()


def _left_at(source, volume, status):
    """Give the row of the source of a migration that ended in another volume."""
    return source.volume(_name_id=volume, status=status, migration_status="deleting")


def test_deleting_the_source_takes_nothing_from_the_hosts_of_the_volume(cloud, source):
    volume = cloud.volume()
    left = _left_at(source, volume, "deleting")
    attached = cloud.attach(volume, A)
    source.driver.remove_export(source.context, source.load(left))
    assert attached.session.alive
    source.driver.delete_volume(source.load(left))
    cloud.reconcile()
    assert attached.session.alive
    cloud.detach(volume, attached)
    assert cloud.acls(volume) is None


def test_a_source_that_could_not_be_deleted_takes_nothing_either(cloud, source):
    volume = cloud.volume()
    _left_at(source, volume, "error_deleting")
    attached = cloud.attach(volume, A)
    source.reconcile()
    source.restart_driver()
    source.reconcile()
    assert attached.session.alive
    cloud.detach(volume, attached)
    source.reconcile()
    assert cloud.acls(volume) is None


def test_deleting_the_source_removes_the_export_that_is_its_own(cloud, source):
    volume = cloud.volume()
    left = _left_at(source, volume, "error")
    session = source.connect_only(source.load(left), A)
    with pytest.raises(VolumeHeld, match=A["initiator"]):
        source.driver.delete_volume(source.load(left))
    assert session.alive
    session.logout()
    source.driver.delete_volume(source.load(left))
    assert source.acls(left) is None
