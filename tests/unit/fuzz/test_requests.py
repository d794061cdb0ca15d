# SPDX-License-Identifier: Apache-2.0
"""Requests that say anything at all, beside a host that must not notice."""

import json
import uuid
from pathlib import Path

import pytest
from cinder.exception import CinderException
from hypothesis import given
from hypothesis import strategies as st

from taikun_cinder import extra_specs
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import VolumeRowDamaged
from tests.unit.cloud import A, Attached, B, lose, spoil
from tests.unit.fuzz.strategies import (
    DATABASE_TEXT,
    EVIL,
    PLAIN,
    SAME_CLOUD,
    connectors,
)


@pytest.fixture
def shared(cloud):
    """A volume, and a host that writes to it."""
    volume = cloud.volume()
    return volume, cloud.attach(volume, B)


def _untouched(cloud, volume, host):
    assert host.session.alive
    assert host.writes()
    assert set(map(str, cloud.acls(volume))) == {B["initiator"]}


def _answer(call, *arguments):
    """Give what a call answers; None if it is refused, which has to be in words."""
    try:
        return call(*arguments)
    except CinderException as error:
        words = str(error)
    assert words
    return None


@SAME_CLOUD
@given(connector=connectors(A))
def test_any_connector_is_let_in_or_refused(cloud, shared, connector):
    volume, host = shared
    reserved = cloud.reserve(volume)
    connect = cloud.driver.initialize_connection
    information = _answer(connect, cloud.load(volume), connector)
    if information is not None:
        json.dumps(information)
        name = str(connector["initiator"])
        assert set(map(str, cloud.acls(volume))) == {B["initiator"], name}
        cloud.driver.terminate_connection(cloud.load(volume), connector)
        cloud.pass_often()
    cloud.forget(volume, reserved)
    _untouched(cloud, volume, host)


@SAME_CLOUD
@given(connector=connectors(A))
def test_any_connector_is_validated_in_words(cloud, connector):
    assert _answer(cloud.driver.validate_connector, connector) in (True, None)


@SAME_CLOUD
@given(connector=connectors(A).filter(lambda one: one is not None))
def test_any_connector_may_end_its_own_access_and_no_other(cloud, shared, connector):
    volume, host = shared
    end = cloud.driver.terminate_connection
    assert _answer(end, cloud.load(volume), connector) in (True, None)
    _untouched(cloud, volume, host)


@SAME_CLOUD
@given(
    specs=st.dictionaries(
        st.sampled_from(sorted(extra_specs.SPECS)), DATABASE_TEXT, max_size=3
    )
)
def test_any_extra_specs_are_used_or_refused(cloud, specs):
    volume = cloud.volume(**cloud.volume_type(**specs))
    attached = _answer(cloud.attach, volume, A)
    if attached is None:
        assert cloud.acls(volume) is None
    else:
        cloud.detach(volume, attached)
    cloud.reconcile()


@SAME_CLOUD
@given(
    column=st.sampled_from(
        ["connector", "connection_info", "attach_mode", "instance_uuid"]
    ),
    value=st.one_of(PLAIN, EVIL, st.sampled_from(["{", '{"initiator": []}'])),
)
def test_any_row_of_an_attachment_lets_nobody_in_and_takes_no_disk(
    cloud, shared, column, value
):
    volume, host = shared
    other = cloud.attach(volume, A)
    text = value if isinstance(value, str) else json.dumps(value)
    spoil(other, **{column: text.encode("ascii", "backslashreplace").decode()[:30]})
    # Cinder itself cannot load the volume with some of these.
    cloud.reconcile()
    assert host.session.alive
    assert host.writes()
    lose(other)
    cloud.pass_often()
    _untouched(cloud, volume, host)


@SAME_CLOUD
@given(
    column=st.sampled_from(
        [
            "_name_id",
            "availability_zone",
            "display_name",
            "migration_status",
            "provider_auth",
            "provider_id",
            "provider_location",
            "status",
        ]
    ),
    value=DATABASE_TEXT,
)
def test_any_row_of_a_volume_lets_nobody_in_and_takes_no_disk(
    cloud, shared, column, value
):
    volume, host = shared
    usual = getattr(cloud.load(volume), column)
    spoil(Attached(volume), models.Volume, **{column: value})
    reserved = cloud.reserve(volume)
    _answer(cloud.driver.initialize_connection, cloud.load(volume), dict(A))
    cloud.pass_often()
    assert host.session.alive
    assert host.writes()
    cloud.forget(volume, reserved)
    spoil(Attached(volume), models.Volume, **{column: usual})
    cloud.pass_often()
    _untouched(cloud, volume, host)


@pytest.mark.parametrize("name_id", ["../../x", "..", "a/b", "x", "\0", "\u00e9"])
def test_a_row_with_the_name_of_no_volume_is_told_and_nothing_changed(
    cloud, shared, name_id, caplog
):
    volume, host = shared
    folder = Path(cloud.driver.configuration.taikun_state_path)
    before = sorted(folder.parent.rglob("*"))
    spoil(Attached(volume), models.Volume, _name_id=name_id)
    reserved = cloud.reserve(volume)
    for call in (
        cloud.driver.initialize_connection,
        cloud.driver.terminate_connection,
    ):
        with pytest.raises(VolumeRowDamaged, match=f"(?s){volume}.*name_id"):
            call(cloud.load(volume), dict(A))
    caplog.clear()
    cloud.reconcile()
    assert "is the id of no volume" in caplog.text
    assert "Traceback" not in caplog.text
    assert host.session.alive
    assert sorted(folder.parent.rglob("*")) == before
    cloud.forget(volume, reserved)
    spoil(Attached(volume), models.Volume, _name_id=None)
    cloud.reconcile()
    _untouched(cloud, volume, host)


@pytest.mark.parametrize("logged_in", [True, False])
def test_a_damaged_row_of_a_volume_that_was_migrated_takes_no_disk(cloud, logged_in):
    volume = cloud.volume()
    before = {"_name_id": str(uuid.uuid4())}
    spoil(Attached(volume), models.Volume, **before)
    host = cloud.attach(volume, B)
    cloud.pass_often()
    spoil(Attached(volume), models.Volume, _name_id="x")
    if not logged_in:
        cloud.log_out(host)
    cloud.pass_often()
    spoil(Attached(volume), models.Volume, **before)
    assert set(map(str, cloud.acls(volume))) == {B["initiator"]}
    assert host.session.alive is logged_in


@SAME_CLOUD
@given(
    raw=st.one_of(st.none(), st.binary(max_size=60), PLAIN),
    way=st.lists(st.integers(0, 999), min_size=6, max_size=6),
    value=PLAIN,
    restarts=st.booleans(),
)
def test_any_record_takes_no_disk_and_lets_nobody_in(
    cloud, shared, raw, way, value, restarts
):
    """A record of any bytes, of any JSON, or one with any value anywhere in it."""
    volume, host = shared
    path = cloud.record(volume)
    if raw is None:
        raw = _spoiled(json.loads(path.read_bytes()), way, value)
    path.write_bytes(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    if restarts:
        cloud.restart_driver()
    cloud.reconcile()
    _untouched(cloud, volume, host)
    again = cloud.attach(volume, A)
    cloud.detach(volume, again)
    _untouched(cloud, volume, host)


def _spoiled(plain, way, value):
    """Put a value into a tree, at the end of a way that numbers lead.

    What is drawn must not depend on the record, which is another one each time.
    """
    if not way or not plain or not isinstance(plain, dict | list):
        return value
    first, *rest = way
    if isinstance(plain, dict):
        key = sorted(plain)[first % len(plain)]
        return plain | {key: _spoiled(plain[key], rest, value)}
    at = first % len(plain)
    return [*plain[:at], _spoiled(plain[at], rest, value), *plain[at + 1 :]]
