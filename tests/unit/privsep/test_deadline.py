# SPDX-License-Identifier: Apache-2.0
"""What comes too late, or from somebody who is gone, changes nothing."""

import logging
import socket
import time

import pytest
from oslo_privsep import comm, daemon

from taikun_cinder import privsep
from taikun_cinder.privsep import client, deadline, files, lio
from taikun_cinder.privsep.deadline import TooLate
from tests.contract.suite import A

NAME = "iqn.2010-10.org.openstack:volume-1"


@pytest.fixture
def caller():
    """Give the caller's end of a privileged process's socket."""
    ours, its = socket.socketpair()
    handler = daemon.PrivsepLogHandler(comm.ServerChannel(its))
    logging.getLogger().addHandler(handler)
    yield ours
    logging.getLogger().removeHandler(handler)
    ours.close()
    its.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: files.make(f"{folder}/new"),
        lambda folder: files.put(f"{folder}/attribute", "new"),
        lambda folder: files.link(f"{folder}/new", str(folder)),
        lambda folder: files.unlink(f"{folder}/attribute"),
        lambda folder: files.remove(f"{folder}/there"),
    ],
)
def test_nothing_is_changed_behind_the_deadline(tmp_path, change):
    (tmp_path / "attribute").write_text("old")
    (tmp_path / "there").mkdir()
    with deadline.kept(deadline.now() - 1), pytest.raises(TooLate, match="waits no"):
        change(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"attribute", "there"}
    assert (tmp_path / "attribute").read_text() == "old"
    with deadline.kept(deadline.now() + 60):
        change(tmp_path)


def test_nothing_is_changed_for_a_caller_that_is_gone(tmp_path, caller):
    with deadline.kept(deadline.now() + 60):
        files.make(f"{tmp_path}/before")
        caller.sendall(b"asked something more that nobody reads")
        caller.close()
        time.sleep(2 * deadline.FRESH)
        with pytest.raises(TooLate, match="gone"):
            files.make(f"{tmp_path}/after")
    assert [path.name for path in tmp_path.iterdir()] == ["before"]


def test_steps_that_were_not_begun_in_time_are_left_undone(mounted, monkeypatch, log):
    clock = iter([0.0, 0.0, 0.0])
    monkeypatch.setattr(deadline, "now", lambda: next(clock, 100.0))
    steps = [("create_target",), ("create_tpg",), ("create_acl", str(A))]
    with pytest.raises(TooLate):
        lio.apply(NAME, steps, _until=10.0)
    assert mounted.targets.keys() <= {NAME}
    assert all(not target.tpgs for target in mounted.targets.values())
    assert "left undone" in log.text


def test_a_late_call_does_not_even_look(mounted):
    late = deadline.now() - 1
    for call, *arguments in (lio.read, NAME, b"key"), (lio.names, "iqn."):
        with pytest.raises(TooLate):
            call(*arguments, _until=late)


def test_a_privsep_that_is_built_otherwise_is_refused_with_the_reason(monkeypatch):
    client._refuse_unknown_privsep()
    monkeypatch.setattr(daemon, "PrivsepLogHandler", logging.NullHandler)
    with pytest.raises(daemon.FailedToDropPrivileges, match=r"oslo\.privsep.*Install"):
        client._refuse_unknown_privsep()


def test_the_privileged_process_serves_as_many_calls_as_may_hang():
    assert privsep.context.conf.thread_pool_size == client.CALLS
