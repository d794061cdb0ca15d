# SPDX-License-Identifier: Apache-2.0
"""Each attach and each detach is one line of the log, which says what was decided."""

import logging
import re
import uuid

import pytest

from tests.unit.cloud import A, B

SERVER, OTHER = (str(uuid.uuid4()) for _ in range(2))


@pytest.fixture
def told(caplog):
    """Give what was told since the last call, without the times."""
    caplog.set_level(logging.INFO)

    def lines():
        # Whatever else the package says at this level is no line of its own.
        said = [r for r in caplog.records if r.name.startswith("taikun_cinder")]
        caplog.clear()
        return [re.sub(r"\d+ ms", "T ms", record.getMessage()) for record in said]

    return lines


def _attached(volume, host, how):
    who = f"host {host['host']} ({host['initiator']})"
    return [f"Volume {volume}: {who} may {how}. It took T ms."]


def test_attach_and_detach_are_told(cloud, told):
    volume = cloud.volume()
    writer = cloud.attach(volume, A, "rw", SERVER)
    how = f"read and write for server {SERVER}, as asked for"
    assert told() == _attached(volume, A, how)
    reader = cloud.attach(volume, B, "ro", OTHER)
    how = f"only read, by the readers' disk for server {OTHER}, as asked for"
    assert told() == _attached(volume, B, how)
    cloud.detach(volume, writer)
    who = f"host {A['host']} ({A['initiator']})"
    assert told() == [
        f"Volume {volume}: {who} was detached and has it no more. 1 other host(s) have "
        "it. It took T ms."
    ]
    cloud.detach(volume, reader)
    assert "0 other host(s)" in told()[0]


def test_what_a_rule_makes_less_is_told_with_the_rule(cloud, told):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, A, "rw", SERVER)
    told()
    cloud.attach(volume, A, "rw", OTHER)
    how = (
        f"only read, by the readers' disk for server {OTHER}, since another server may "
        "write and taikun:secondary_mode is 'ro'"
    )
    assert told() == _attached(volume, A, how)


def test_host_that_keeps_the_volume_is_told(cloud, told):
    volume = cloud.volume()
    first, _ = (cloud.attach(volume, A, "rw", one) for one in (SERVER, OTHER))
    told()
    cloud.detach(volume, first)
    (line,) = told()
    assert "was detached and has it by another attachment still" in line


def test_cinders_own_connection_is_told_as_such(cloud, told):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    how = "read and write for Cinder itself, as for a copy or a backup"
    assert told() == _attached(volume, A, how)


def test_mode_that_comes_later_is_told_so(cloud, told):
    volume = cloud.volume()
    cloud.attach_in_one(volume, A, "ro", SERVER)
    assert f"for server {SERVER}, until its attachment says more" in told()[0]


def test_what_a_client_says_stays_in_its_line(cloud, told):
    volume = cloud.volume()
    cloud.attach(volume, B)
    told()
    forged = {"initiator": "iqn.x\nVolume", "host": "a\nVolume"}
    cloud.driver.terminate_connection(cloud.load(volume), forged)
    lines = told()
    assert lines
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_mode_that_cinder_writes_later_makes_no_second_line(cloud, told, mode):
    volume = cloud.volume()
    attached = cloud.attach_in_one(volume, A, mode)
    cloud.watch()
    assert attached.writes() is (mode == "rw")
    assert len(told()) == 1
