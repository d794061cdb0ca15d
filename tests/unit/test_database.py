# SPDX-License-Identifier: Apache-2.0
"""Cinder's rows are read as attachments, and only those of the right volumes."""

import pytest
from cinder import objects

from taikun_cinder import database
from taikun_cinder.access.model import Initiator
from taikun_cinder.targets.lio.target import LioTarget
from tests.unit.cloud import Host

A = Host("compute1").connector


@pytest.fixture
def row(cloud):
    """Return a function that writes one row and gives what is read of it."""

    def write(**values):
        volume = cloud.volume()
        objects.VolumeAttachment(cloud.context, volume_id=volume, **values).create()
        return database.rows_of(cloud.load(volume), LioTarget()).attachments

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
    assert database.rows_of(cloud.load(mine), LioTarget()).attachments == ()


def test_only_attached_volumes_of_the_back_end_are_named(cloud):
    def attached(status="attached", **values):
        volume = cloud.volume(**values)
        objects.VolumeAttachment(
            cloud.context, volume_id=volume, attach_status=status
        ).create()
        return volume

    host = cloud.manager.host
    ours = {attached(), attached("reserved"), attached(host=host)}
    attached("detached")
    attached(host=f"{host}-2#pool")
    attached(host=host.replace("-", "_") + "#pool")
    cloud.volume()
    assert database.attached_volumes(host) == ours
