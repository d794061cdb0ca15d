# SPDX-License-Identifier: Apache-2.0
"""A change that hangs keeps nobody else from this node's LIO."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from oslo_concurrency import lockutils
from oslo_privsep import comm, daemon

from taikun_cinder import privsep
from taikun_cinder.access.model import Initiator, Portal
from taikun_cinder.exception import (
    StepFailed,
    StepUnfinished,
    TargetBusy,
    TargetUnreadable,
)
from taikun_cinder.privsep import client, helper
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.privsep.deadline import TooLate
from taikun_cinder.privsep.refusal import Busy, KernelRefused
from taikun_cinder.targets.inspection import Inspection, Reservation
from taikun_cinder.targets.lio import kernel, steps

NAME = "iqn.2010-10.org.openstack:volume-1"
A = Initiator("iqn.2026-11.com.example:a")


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """Give the node's LIO, whose locks are the test's own."""
    monkeypatch.setattr(kernel, "GRACE", 0.1)
    lockutils.set_defaults(str(tmp_path))
    return kernel.NodesKernel()


class PrivilegedProcess:
    """The other end of oslo.privsep's client, whose calls take what a test says."""

    def __init__(self, socket):
        self._channel = comm.ServerChannel(socket)
        #: By the name of a target, what its calls wait for.
        self.hangs: dict[str, threading.Event] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        for number, (kind, *call) in self._channel:
            if kind == comm.Message.PING:
                self._channel.send((number, (comm.Message.PONG.value,)))
            else:
                served = threading.Thread(target=self._call, args=(number, *call))
                served.start()

    def _call(self, number, name, arguments, named):
        if arguments and arguments[0] in self.hangs:
            self.hangs[arguments[0]].wait(60)
        self._channel.send((number, (comm.Message.RET.value, None)))


@pytest.fixture
def process(monkeypatch):
    """Give the privileged process of this one."""
    ours, its = socket.socketpair()
    context = privsep.context

    def start(context):
        return daemon._ClientChannel(ours, context)

    monkeypatch.setattr(helper, "Channel", start)
    monkeypatch.setattr(context, "client_mode", True)
    yield PrivilegedProcess(its)
    its.close()
    context.stop()
    ours.close()


def test_lioadm_is_let_go_while_a_sick_target_is_waited_for(nodes, process):
    process.hangs[NAME] = back = threading.Event()
    sick = threading.Thread(target=nodes.apply, args=(NAME, [steps.CreateTarget()]))
    sick.start()
    start = time.monotonic()
    nodes.apply("iqn.2010-10.org.openstack:volume-2", [steps.CreateTarget()])
    assert time.monotonic() - start < 30
    assert sick.is_alive()
    back.set()
    sick.join()


def test_lioadm_is_kept_as_long_as_a_change_takes_no_longer(
    nodes, process, monkeypatch
):
    monkeypatch.setattr(kernel, "GRACE", 30)
    process.hangs[NAME] = back = threading.Event()
    slow = threading.Thread(target=nodes.apply, args=(NAME, [steps.CreateTarget()]))
    slow.start()
    other = threading.Thread(target=nodes.apply, args=("iqn.2010-10.a:b", []))
    time.sleep(0.2)
    other.start()
    other.join(0.3)
    assert other.is_alive()
    back.set()
    slow.join()
    other.join()


def test_the_more_hang_the_shorter_another_waits(nodes, process, monkeypatch):
    monkeypatch.setattr(kernel, "GRACE", 2.0)
    names = [f"iqn.2010-10.org.openstack:volume-{number}" for number in range(8)]
    back = threading.Event()
    process.hangs = dict.fromkeys(names, back)
    came_back = []

    def change(name):
        nodes.apply(name, [])
        came_back.append(name)

    sick = [threading.Thread(target=change, args=(name,)) for name in names]
    for thread in sick:
        thread.start()
    start = time.monotonic()
    nodes.apply(NAME.replace("volume-1", "volume-9"), [])
    # 2 s for each were 16; by this it is the eighth harmonic number, twice.
    assert time.monotonic() - start < 12
    back.set()
    for thread in sick:
        thread.join()
    assert sorted(came_back) == names
    assert not kernel._hanging


def test_a_call_that_outlives_its_time_is_told(nodes, process, monkeypatch):
    monkeypatch.setattr(privsep.context, "timeout", 0.3)
    process.hangs[NAME] = back = threading.Event()
    with pytest.raises(StepUnfinished):
        nodes.apply(NAME, [steps.CreateTarget()])
    back.set()
    nodes.apply(NAME, [])


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
    monkeypatch.setattr(privsep.context, "client_mode", False)
    with pytest.raises(error) as told:
        nodes.apply(NAME, [steps.EnableTpg()])
    for word in (NAME, "kernel", "suspended", "dmsetup", "repeat"):
        assert word in str(told.value)


def test_a_lock_that_cannot_be_had_is_not_taken_for_a_lost_process(
    nodes, process, monkeypatch
):
    def alone():
        raise OSError(errno.ENOSPC, "no room for the lock")

    monkeypatch.setattr(nodes, "alone", alone)
    with pytest.raises(OSError, match="no room"):
        nodes.apply(NAME, [steps.EnableTpg()])


def test_a_target_that_cannot_be_read_now_is_busy(nodes, monkeypatch):
    def read(*arguments):
        raise Busy("", 0.0)

    monkeypatch.setattr(privileged, "read", read)
    with pytest.raises(
        TargetBusy, match=r"another process.*Nothing was changed"
    ) as told:
        nodes.read(NAME)
    assert NAME in str(told.value)


STEPS = [steps.CreateTarget(), steps.EnableTpg()]

#: What a change may end with, the step that is told for it, and its cause in words.
CHANGES: dict[str, tuple[Any, ...]] = {
    "the kernel refused": (
        KernelRefused(1, "enable", "/configfs/enable", errno.ENOMEM),
        StepFailed,
        1,
        ("EnableTpg", "ENOMEM", "/configfs/enable"),
    ),
    "the kernel refused the first one": (
        KernelRefused(0, "make", "/configfs/iscsi", errno.EEXIST),
        StepFailed,
        0,
        ("CreateTarget", "EEXIST", "/configfs/iscsi"),
    ),
    "another call has not come back": (
        Busy("remove acl", 40.0),
        TargetBusy,
        None,
        ("remove acl", "40 s"),
    ),
    "it was asked for nonsense": (
        ValueError("no such step"),
        StepFailed,
        None,
        ("CreateTarget", "EnableTpg", "no such step"),
    ),
    "it was too late": (
        TooLate(),
        StepUnfinished,
        None,
        ("CreateTarget", "EnableTpg", "kernel has not done it after 120 s"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_change_that_fails_tells_the_step_and_the_cause(nodes, monkeypatch, what):
    cause, error, number, words = CHANGES[what]

    def apply(name, steps):
        raise cause

    monkeypatch.setattr(privileged, "apply", apply)
    monkeypatch.setattr(privsep.context, "timeout", 120.0)
    monkeypatch.setattr(privsep.context, "client_mode", False)
    with pytest.raises(error) as told:
        nodes.apply(NAME, STEPS)
    assert getattr(told.value, "number", None) == number
    for word in (NAME, *words):
        assert word in str(told.value)
    if number is not None:
        assert repr(STEPS[1 - number]) not in str(told.value)


def test_privileged_process_that_does_not_start_is_told_with_all_steps(
    nodes, monkeypatch
):
    def connect():
        raise OSError(errno.ENOENT, "no such program")

    monkeypatch.setattr(privsep.context, "connect", connect)
    with pytest.raises(kernel.LostError) as told:
        nodes.apply(NAME, STEPS)
    for word in (NAME, "CreateTarget", "EnableTpg", "no such program"):
        assert word in str(told.value.failure)


def test_change_whose_privileged_process_is_lost_tells_all_its_steps(
    nodes, monkeypatch
):
    def apply(name, steps):
        raise OSError(errno.EPIPE, "gone")

    monkeypatch.setattr(privileged, "apply", apply)
    monkeypatch.setattr(privsep.context, "client_mode", False)
    with pytest.raises(kernel.LostError, match="gone") as told:
        nodes.apply(NAME, STEPS)
    failure = told.value.failure
    assert failure.number is None
    for word in (NAME, "CreateTarget", "EnableTpg", "gone"):
        assert word in str(failure)


#: Each question, what is asked, with what, an answer, and what is made of it.
QUESTIONS = {
    "names": (
        lambda nodes: nodes.names("iqn.2010-10."),
        "names",
        ("iqn.2010-10.",),
        [NAME],
        frozenset({NAME}),
    ),
    "details": (
        lambda nodes: nodes.inspect(NAME),
        "inspect",
        (NAME,),
        {
            "portals": [("192.0.2.1", 3260)],
            "addresses": {"iqn.2026-11.com.example:a": "192.0.2.9"},
            "reservation": {
                "kind": "Write Exclusive",
                "holder": "iqn.2026-11.com.example:a",
                "registered": ["iqn.2026-11.com.example:a"],
            },
        },
        Inspection(
            frozenset({Portal("192.0.2.1", 3260)}),
            {A: "192.0.2.9"},
            Reservation("Write Exclusive", A, frozenset({A})),
        ),
    ),
    "details without a reservation": (
        lambda nodes: nodes.inspect(NAME),
        "inspect",
        (NAME,),
        {
            "portals": [],
            "addresses": {},
            "reservation": {"kind": "", "holder": None, "registered": []},
        },
        Inspection(),
    ),
    "readers' disks": (
        lambda nodes: nodes.lack_of_readers_disk(),
        "lack_of_readers_disk",
        (),
        "it is too old",
        "it is too old",
    ),
}


@pytest.fixture
def here(monkeypatch):
    """Let calls be made in this process."""
    monkeypatch.setattr(privsep.context, "client_mode", False)
    monkeypatch.setattr(privsep.context, "connect", lambda: None)


@pytest.mark.parametrize("what", QUESTIONS)
@pytest.mark.parametrize("dies", [False, True])
def test_question_is_answered_also_when_the_privileged_process_dies_once(
    nodes, here, monkeypatch, what, dies
):
    ask, called, asked, answer, made_of_it = QUESTIONS[what]
    lost = [OSError(errno.EPIPE, "gone")] if dies else []

    def call(*arguments):
        assert arguments == asked
        if lost:
            raise lost.pop()
        return answer

    monkeypatch.setattr(privileged, called, call)
    assert ask(nodes) == made_of_it
    assert not lost


@pytest.mark.parametrize("what", QUESTIONS)
@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (OSError(errno.EPIPE, "gone"), "gone"),
        (KernelRefused(-1, "look", "/configfs", errno.EACCES), "EACCES"),
        (comm.PrivsepTimeout(), "did not answer in 120 s"),
        (ValueError(), "ValueError"),
    ],
)
def test_question_without_an_answer_tells_why(
    nodes, here, monkeypatch, what, cause, words
):
    ask, called, *_ = QUESTIONS[what]

    def call(*arguments):
        raise cause

    monkeypatch.setattr(privsep.context, "timeout", 120.0)
    monkeypatch.setattr(privileged, called, call)
    with pytest.raises(TargetUnreadable, match=words) as told:
        ask(nodes)
    named = {"names": "iqn.2010-10.", "readers' disks": "a readers' disk"}
    assert named.get(what, NAME) in str(told.value)


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ({}, (False, None)),
        ({"search": True}, (True, None)),
        # The second one can be no ACL's, so it is not asked for.
        ({"about": [A, Initiator("a/b")]}, (False, [A.name])),
    ],
)
def test_state_is_asked_for_as_it_was_asked_for(nodes, here, monkeypatch, named, asked):
    def read(name, key, *how):
        assert (name, how) == (NAME, asked)
        raise Busy("a change", 1.0)

    monkeypatch.setattr(privileged, "read", read)
    with pytest.raises(TargetBusy, match=NAME):
        nodes.read(NAME, **named)


def test_all_targets_that_cannot_be_listed_are_told_as_such(nodes, here, monkeypatch):
    def names(prefix):
        raise ValueError("no")

    monkeypatch.setattr(privileged, "names", names)
    with pytest.raises(TargetUnreadable, match="a target of this driver"):
        nodes.names("")


def test_readers_disks_are_tried_alone(nodes, here, monkeypatch):
    """The trial changes LIO, which rtslib does not bear beside its own changes."""
    file = Path(f"{lockutils.get_lock_path(lockutils.CONF)}/cinder-lioadm")
    taken = []

    def is_taken():
        holder = f" {os.getpid()} "
        node = f":{file.stat().st_ino} "
        locks = Path("/proc/locks").read_text().splitlines()
        return any(holder in lock and node in lock for lock in locks)

    def lack():
        taken.append(is_taken())
        return ""

    monkeypatch.setattr(privileged, "lack_of_readers_disk", lack)
    assert not nodes.lack_of_readers_disk()
    assert taken == [True]
    assert not is_taken()


def test_privileged_process_that_does_not_start_is_told_for_what(nodes, monkeypatch):
    def connect():
        raise OSError(errno.ENOENT, "no such program")

    monkeypatch.setattr(privsep.context, "connect", connect)
    with pytest.raises(TargetUnreadable, match="no such program") as told:
        nodes.lack_of_readers_disk()
    assert "a readers' disk" in str(told.value)


@pytest.mark.parametrize(("hanging", "seconds"), [(0, 0.6), (2, 0.2), (5, 0.1)])
def test_time_that_others_wait_is_shared_by_what_hangs(
    nodes, here, monkeypatch, hanging, seconds
):
    given = []

    def impatient(seconds, let_go):
        given.append(seconds)
        return contextlib.nullcontext()

    monkeypatch.setattr(kernel, "GRACE", 0.6)
    monkeypatch.setattr(kernel, "_hanging", {object() for _ in range(hanging)})
    monkeypatch.setattr(client, "impatient", impatient)
    monkeypatch.setattr(privileged, "apply", lambda name, steps: None)
    nodes.apply(NAME, [])
    assert given == [pytest.approx(seconds)]


def test_what_waits_is_told_with_its_age(nodes, process):
    process.hangs[NAME] = back = threading.Event()
    sick = threading.Thread(target=nodes.apply, args=(NAME, []))
    sick.start()
    time.sleep(0.3)
    ((call, age),) = nodes.waiting()
    assert NAME in call
    assert 0.1 < age < 60
    back.set()
    sick.join()
    assert not nodes.waiting()


@pytest.fixture
def startable(monkeypatch):
    """Let the privileged process start when a test says so."""
    may = threading.Event()
    pairs = []

    def start(context):
        may.wait(20)
        ours, its = socket.socketpair()
        pairs.append((ours, its))
        PrivilegedProcess(its)
        return daemon._ClientChannel(ours, context)

    monkeypatch.setattr(helper, "Channel", start)
    monkeypatch.setattr(privsep.context, "client_mode", True)
    yield may
    may.set()
    for _, its in pairs:
        its.close()
    privsep.context.stop()
    for ours, _ in pairs:
        ours.close()


def test_nobody_waits_while_the_privileged_process_starts(nodes, startable):
    asks = threading.Thread(target=nodes.apply, args=(NAME, [steps.CreateTarget()]))
    asks.start()
    time.sleep(0.3)
    taken = threading.Event()

    def in_tree():
        with lockutils.lock("lioadm", "cinder-", external=True):
            taken.set()

    other = threading.Thread(target=in_tree)
    other.start()
    got = taken.wait(2)
    startable.set()
    asks.join()
    other.join()
    assert got


_GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, threading, time
from oslo_concurrency import lockutils
from tests.unit.targets.lio import test_kernel
from taikun_cinder import privsep
from taikun_cinder.privsep import helper
from taikun_cinder.targets.lio import kernel
lockutils.set_defaults(sys.argv[1])
ours, its = test_kernel.socket.socketpair()
process = test_kernel.PrivilegedProcess(its)
helper.Channel = lambda context: test_kernel.daemon._ClientChannel(ours, context)
privsep.context.set_client_mode(True)
process.hangs["iqn.2010-10.org.openstack:volume-1"] = back = threading.Event()
ticks = []
def tick():
    while True:
        ticks.append(1)
        time.sleep(0.01)
eventlet.spawn(tick)
eventlet.spawn_after(1.5, back.set)
kernel.NodesKernel().apply("iqn.2010-10.org.openstack:volume-1", [])
print(len(ticks))
"""


def test_a_monkey_patched_service_does_other_things_meanwhile(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", _GREEN, str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
    )
    assert int(done.stdout) > 20
