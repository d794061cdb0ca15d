# SPDX-License-Identifier: Apache-2.0
"""How Cinder's rows are read."""

import pytest
from cinder import objects

from taikun_cinder import attachments
from taikun_cinder.access.model import Initiator
from tests.unit.cloud import Host

A = Host("compute1").connector


@pytest.fixture
def row(cloud):
    """Return a function that writes one row and gives what is read of it."""

    def write(**values):
        volume = cloud.volume()
        objects.VolumeAttachment(cloud.context, volume_id=volume, **values).create()
        return attachments.of_volume(volume)

    return write


def test_row_with_a_connector_is_its_hosts(row):
    [read] = row(attach_status="attaching", connector=A)
    assert read.initiator == Initiator(A["initiator"].upper())
    assert read.host == "compute1"
    assert read.connected


@pytest.mark.parametrize("status", ["error_attaching", "error_detaching", "attached"])
def test_row_with_a_connector_counts_in_any_state(row, status):
    [read] = row(attach_status=status, connector=A)
    assert read.connected


@pytest.mark.parametrize("status", ["reserved", "attaching", "error_attaching"])
def test_row_that_is_only_reserved_does_not_count(row, status):
    [read] = row(attach_status=status)
    assert not read.connected


@pytest.mark.parametrize("status", ["attached", "error_detaching"])
def test_row_of_os_attach_counts_though_it_names_nobody(row, status):
    [read] = row(attach_status=status, attached_host="metal1")
    assert read.initiator is None
    assert read.host == "metal1"
    assert read.connected


def test_detached_row_is_not_read(row):
    assert row(attach_status="detached", connector=A) == ()


def test_rows_of_other_volumes_are_not_read(cloud):
    mine, other = cloud.volume(), cloud.volume()
    cloud.attach(other, A)
    assert attachments.of_volume(mine) == ()
