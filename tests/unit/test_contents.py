# SPDX-License-Identifier: Apache-2.0
"""A look that cannot be had is told with its cause, and raises nothing."""

import pytest
from oslo_privsep import comm, daemon

from taikun_cinder import contents
from taikun_cinder.access.contents import Content, Look
from taikun_cinder.privsep import look as privileged
from taikun_cinder.privsep.deadline import TooLate
from taikun_cinder.privsep.refusal import Unseen


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (Unseen("its disk did not answer"), "its disk did not answer"),
        (ValueError("'/dev/sda' is no logical volume"), "is no logical volume"),
        (NameError("taikun_cinder.privsep.look.contents"), "privsep.look"),
        (comm.PrivsepTimeout(), "did not answer in 30 s"),
        (TooLate("its caller waits no more"), "waits no more"),
        (daemon.FailedToDropPrivileges(), "FailedToDropPrivileges"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_failure_is_an_answer(monkeypatch, failure, cause):
    def fail(*_):
        raise failure

    monkeypatch.setattr(privileged, "contents", fail)
    monkeypatch.setattr(privileged, "rehearse", fail)
    seen = contents.look("/dev/vg/lv")
    assert cause in seen.failure
    assert seen.contents == ()
    assert cause in contents.lack()


def test_what_crosses_from_the_privileged_process_is_understood(monkeypatch):
    # Lists become tuples on the way (oslo_privsep.comm).
    crossed = (("ext4", "", 2), ("ocfs2", "local", 0))
    monkeypatch.setattr(privileged, "contents", lambda device: crossed)
    monkeypatch.setattr(privileged, "rehearse", lambda: None)
    assert contents.look("/dev/vg/lv") == Look(
        (Content("ext4", partition=2), Content("ocfs2", "local"))
    )
    assert contents.lack() == ""
