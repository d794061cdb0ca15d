# SPDX-License-Identifier: Apache-2.0
"""A change that hangs keeps nobody else from this node's LIO."""

import os
import subprocess
import sys
import threading
import time

import pytest
from oslo_concurrency import lockutils
from oslo_privsep import comm

from taikun_cinder.exception import StepUnfinished, TargetBusy
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.privsep.refusal import Busy
from taikun_cinder.targets.lio import kernel, steps

NAME = "iqn.2010-10.org.openstack:volume-1"


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """Give the node's LIO, whose locks are the test's own."""
    monkeypatch.setattr(kernel, "GRACE", 0.1)
    lockutils.set_defaults(str(tmp_path))
    return kernel.NodesKernel()


def test_lioadm_is_let_go_while_a_sick_target_is_waited_for(nodes, monkeypatch):
    back = threading.Event()
    monkeypatch.setattr(
        privileged, "apply", lambda name, steps: name == NAME and back.wait(60)
    )
    sick = threading.Thread(target=nodes.apply, args=(NAME, [steps.CreateTarget()]))
    sick.start()
    start = time.monotonic()
    nodes.apply("iqn.2010-10.org.openstack:volume-2", [steps.CreateTarget()])
    assert time.monotonic() - start < 30
    assert sick.is_alive()
    back.set()
    sick.join()


def test_calls_one_after_the_other_need_no_new_thread(nodes, monkeypatch):
    threads = set()

    def apply(name, steps):
        threads.add(threading.current_thread())

    monkeypatch.setattr(privileged, "apply", apply)
    for _ in range(20):
        nodes.apply(NAME, [steps.EnableTpg()])
    assert len(threads) == 1


def test_the_child_of_a_fork_has_threads_of_its_own(nodes, monkeypatch):
    monkeypatch.setattr(privileged, "apply", lambda name, steps: None)
    nodes.apply(NAME, [steps.EnableTpg()])
    child = os.fork()
    if not child:
        nodes.apply(NAME, [steps.EnableTpg()])
        os._exit(0)
    deadline = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (Busy("remove acl", 40.0), TargetBusy),
        (comm.PrivsepTimeout(), StepUnfinished),
    ],
)
def test_what_hangs_is_told_with_target_cause_and_cure(
    nodes, monkeypatch, cause, error
):
    def apply(name, steps):
        raise cause

    monkeypatch.setattr(privileged, "apply", apply)
    with pytest.raises(error) as told:
        nodes.apply(NAME, [steps.EnableTpg()])
    for word in (NAME, "kernel", "suspended", "dmsetup", "repeat"):
        assert word in str(told.value)


def test_a_target_that_cannot_be_read_now_is_busy(nodes, monkeypatch):
    def read(*arguments):
        raise Busy("", 0.0)

    monkeypatch.setattr(privileged, "read", read)
    with pytest.raises(TargetBusy, match=r"another process.*Nothing was changed"):
        nodes.read(NAME)


_GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, time
from oslo_concurrency import lockutils
from taikun_cinder.privsep import lio
from taikun_cinder.targets.lio import kernel
lockutils.set_defaults(sys.argv[1])
lio.apply = lambda name, steps: time.sleep(3 * kernel.GRACE)
ticks = []
def tick():
    while True:
        ticks.append(1)
        time.sleep(0.01)
eventlet.spawn(tick)
kernel.NodesKernel().apply("iqn.2010-10.org.openstack:volume-1", [])
print(len(ticks))
"""


def test_a_monkey_patched_service_does_other_things_meanwhile(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", _GREEN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20
