# SPDX-License-Identifier: Apache-2.0
"""A host that was cut off while logged in heals by itself when it is let in again."""

import json
import stat

import pytest

from tests.contract.memory import LoginRefusedError
from tests.unit.cloud import A, B


def _pair(attached):
    return attached.information["auth_username"], attached.information["auth_password"]


def _row_deleted(cloud, volume, attached):
    cloud.detach(volume, attached)


def _force_detached(cloud, volume, attached):
    cloud.os_detach(volume, attached, {"initiator": A["initiator"]})


def _all_force_detached(cloud, volume, attached):
    cloud.driver.terminate_connection(cloud.load(volume), None, force=True)
    cloud.os_detach(volume, attached)


def _row_gone_before_a_reconcile(cloud, volume, attached):
    cloud.forget(volume, attached)
    cloud.reconcile()


def _row_gone_while_the_node_was_down(cloud, volume, attached):
    name = f"iqn.2010-10.org.openstack:{cloud.load(volume)['name']}"
    cloud.target.ensure(name, None)
    cloud.forget(volume, attached)
    cloud.restart_driver()


def _cut_before_a_crash(cloud, volume, attached):
    before = cloud.record(volume).read_bytes()
    cloud.detach(volume, attached)
    cloud.record(volume).write_bytes(before)
    cloud.restart_driver()


ENDS = [
    _row_deleted,
    _force_detached,
    _all_force_detached,
    _row_gone_before_a_reconcile,
    _row_gone_while_the_node_was_down,
    _cut_before_a_crash,
]


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_host_that_was_cut_off_gets_the_pair_that_it_goes_on_trying(cloud, end, others):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    alone = not others or end is _all_force_detached
    other = None if alone else cloud.attach(volume, B)
    end(cloud, volume, first)
    cloud.reconcile()
    assert not first.session.alive
    with pytest.raises(LoginRefusedError):
        cloud.target.log_in(cloud.load(volume), A, first.information)
    cloud.restart_driver()
    shouted = A | {"initiator": A["initiator"].upper()}
    again = cloud.attach(volume, shouted)
    assert _pair(again) == _pair(first)
    assert cloud.target.log_in(cloud.load(volume), A, first.information).alive
    if other:
        assert cloud.target.log_in(cloud.load(volume), B, other.information).alive
        assert _pair(other) != _pair(again)


def test_host_that_logged_out_gets_a_new_pair(cloud):
    volume = cloud.volume()
    cloud.attach(volume, B)
    first = cloud.attach(volume, A)
    cloud.log_out(first)
    cloud.detach(volume, first)
    again = cloud.attach(volume, A)
    assert _pair(again) != _pair(first)


def test_host_that_lost_its_session_long_before_its_access_gets_its_pair(cloud):
    volume = cloud.volume()
    cloud.attach(volume, B)
    first = cloud.attach(volume, A)
    cloud.log_out(first)  # in the eyes of the target: the network was cut
    cloud.reconcile()
    cloud.wait(31)
    cloud.detach(volume, first)
    assert _pair(cloud.attach(volume, A)) == _pair(first)


def test_host_that_is_back_before_it_logs_out_gets_a_new_pair(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.log_out(first)
    cloud.reconcile()
    first.session = cloud.target.log_in(cloud.load(volume), A, first.information)
    cloud.wait(31)
    cloud.reconcile()
    cloud.log_out(first)
    cloud.detach(volume, first)
    assert _pair(cloud.attach(volume, A)) != _pair(first)


def test_pair_is_given_once_more_and_not_for_ever(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.detach(volume, first)
    second = cloud.attach(volume, A)
    cloud.log_out(second)
    cloud.detach(volume, second)
    third = cloud.attach(volume, A)
    assert _pair(first) == _pair(second) != _pair(third)


def test_host_whose_row_went_unnoticed_goes_on_with_its_pair(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.forget(volume, first)
    again = cloud.attach(volume, A)
    assert first.session.alive
    assert _pair(again) == _pair(first)


def test_attach_that_fails_leaves_the_pair_for_the_next(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.attach(volume, B)
    cloud.detach(volume, first)
    cloud.target.fails_for.add(A["initiator"])
    reserved = cloud.reserve(volume)
    with pytest.raises(Exception, match="initialize connection"):
        cloud.connect(volume, A, reserved)
    cloud.target.fails_for.clear()
    assert _pair(cloud.connect(volume, A, reserved)) == _pair(first)


def test_what_is_kept_is_in_a_file_that_nobody_else_reads_and_goes_with_the_volume(
    cloud,
):
    volume = cloud.volume()
    cloud.driver.vg.volumes.add(cloud.load(volume)["name"])
    first = cloud.attach(volume, A)
    cloud.detach(volume, first)
    record = cloud.record(volume)
    assert _pair(first)[1] in record.read_text()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    cloud.reconcile()
    assert _pair(first)[1] in record.read_text()
    assert cloud.acls(volume) is None
    loaded = cloud.load(volume)
    loaded.status = "deleting"
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.driver.delete_volume(loaded)
    assert not record.exists()


def test_record_of_an_older_version_is_read_and_an_older_version_reads_ours(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.detach(volume, first)
    plain = json.loads(cloud.record(volume).read_text())
    assert plain["form"] == 1
    assert plain.keys() >= {"export", "flights", "ended", "current"}
    for key in ("kept", "machines"):
        del plain[key]
    cloud.record(volume).write_text(json.dumps(plain))
    assert _pair(cloud.attach(volume, A)) != _pair(first)
