# SPDX-License-Identifier: Apache-2.0
"""A report tells what hangs, from memory, and tells no password."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from cinder import version
from oslo_privsep import comm
from oslo_reports import guru_meditation_report

from taikun_cinder import locks
from taikun_cinder.monitoring import report
from taikun_cinder.privsep import client
from taikun_cinder.shared_volumes import Endangered
from tests.unit.cloud import A, B


def _section(cloud):
    # It would hang at anything else that is asked of it.
    target: Any = SimpleNamespace(waiting=cloud.target.waiting)
    return report.section(cloud.driver.host, target, cloud.driver._reconcile)


def test_last_pass_and_exports_are_told_without_a_password(cloud):
    volume = cloud.volume()
    attached = [cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")]
    attached[1].session.logout()
    cloud.reconcile()
    told = _section(cloud)
    assert "1 volume(s), 1 exported, 0 failed" in told
    assert (
        f"volume {volume}: {A['initiator']} rw, logged in; {B['initiator']} ro, not "
        "logged in\n"
    ) in told
    for one in attached:
        assert one.information["auth_password"] not in told
        assert one.information["auth_username"] not in told


def test_nothing_is_told_before_the_first_pass(make_driver):
    driver = make_driver()
    told = report.section("node@lvm", driver._target, driver._reconcile)
    assert "No pass has been done yet." in told


@pytest.mark.options(taikun_max_revocations=0)
def test_what_the_brake_holds_is_told(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.reconcile()
    cloud.lose_rows(volume)
    for _ in range(2):
        cloud.reconcile()
    told = _section(cloud)
    assert "(taikun_max_revocations is 0, reason: over_limit)" in told
    assert f"  volume {volume} for {A['initiator']}\n" in told


def test_volumes_in_danger_are_told_with_their_servers(cloud):
    danger = Endangered("ext4", frozenset({"server-2", "server-1"}))
    cloud.driver._reconcile.shared.endangered = {"v": danger}
    assert "  volume v: ext4, servers server-1, server-2\n" in _section(cloud)


def test_pass_is_told_while_it_goes_on(cloud, monkeypatch):
    told = []
    look = cloud.target.names

    def names(prefix):
        told.append(_section(cloud))  # as the handler of a signal interrupts
        return look(prefix)

    monkeypatch.setattr(cloud.target, "names", names)
    cloud.reconcile()
    assert all("A pass of the reconcile is under way" in text for text in told)
    assert "No pass of the reconcile is under way" in _section(cloud)


def test_request_and_its_wait_are_told_while_they_last(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    loaded, context = cloud.load(volume), cloud.context

    def detach():
        context.update_store()  # as each request does in its thread
        cloud.driver.terminate_connection(loaded, None)

    with locks.held(volume):
        ending = threading.Thread(target=detach)
        ending.start()
        request = (
            f"detaches volume {volume}, host: all hosts, {context.request_id} "
            f"({ending.name})"
        )
        while f"waits for the lock of volume {volume} ({ending.name})" not in (
            waiting := _section(cloud)
        ):
            assert ending.is_alive(), waiting
            time.sleep(0.01)
    ending.join(30)
    assert request in waiting
    assert f"has the lock of volume {volume} (MainThread)" in waiting
    assert request not in _section(cloud)
    assert not attached.session.alive


class _Channel:
    """A channel to a privileged process that does not answer before it is told to."""

    def __init__(self):
        self.lock = threading.RLock()
        self.outstanding_msgs = {}
        self.writer = self
        self.asked = threading.Event()

    def send(self, _message):
        self.asked.set()

    def answer(self):
        with self.lock:
            for waiting in self.outstanding_msgs.values():
                waiting.set_result("done")


def test_call_that_has_not_come_back_is_told_without_what_it_brings():
    channel = _Channel()
    steps = [("set_credentials", "iqn.host", "name", "the password")]
    arguments = ("iqn.target", steps)
    call: Any = "taikun_cinder.privsep.lio.apply", arguments, {}
    message = (comm.Message.CALL.value, *call)
    asking = threading.Thread(target=lambda: client._send_recv(channel, message, 30))
    asking.start()
    assert channel.asked.wait(10)
    with channel.lock:  # as the interrupted thread may have it
        (unanswered,) = client.unanswered()
    assert unanswered.call == "apply iqn.target"
    channel.answer()
    asking.join(10)
    assert client.unanswered() == []


@pytest.fixture
def _no_others(monkeypatch):
    """Take the sections of other tests' drivers out of this process's reports."""
    text = guru_meditation_report.TextGuruMeditation
    monkeypatch.setattr(text, "persistent_sections", [], raising=False)
    monkeypatch.setattr(report, "_sections", {})


@pytest.mark.usefixtures("_no_others")
def test_section_is_part_of_the_whole_report(cloud):
    backend = cloud.driver.host
    for _ in range(2):  # as a driver does that is started again
        report.register(backend, cloud.target, cloud.driver._reconcile)
    whole = guru_meditation_report.TextGuruMeditation(version).run()
    assert whole.count(f"taikun_cinder: {backend}") == 1
    assert f"Back end {backend}, taikun_cinder" in whole


@pytest.mark.usefixtures("_no_others")
def test_fault_of_the_section_takes_no_other_with_it(cloud, monkeypatch):
    report.register("node@lvm", cloud.target, cloud.driver._reconcile)
    monkeypatch.setattr(cloud.target, "waiting", lambda: 1 / 0)
    whole = guru_meditation_report.TextGuruMeditation(version).run()
    assert "cannot be made: ZeroDivisionError" in whole
    assert "Configuration" in whole
