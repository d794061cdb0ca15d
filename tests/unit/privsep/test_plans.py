# SPDX-License-Identifier: Apache-2.0
"""Plans, made by the privileged code, one file operation after the other (laws 1 to 4).

``tests/unit/targets/lio/test_plan.py`` shows the same of whole steps. A privileged
process may be killed within one, and hosts may log in meanwhile.
"""

import dataclasses
import itertools

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.targets.base import Result
from taikun_cinder.targets.lio.kernel import LostError
from taikun_cinder.targets.lio.plan import plan
from taikun_cinder.targets.lio.steps import after
from taikun_cinder.targets.lio.target import LioTarget
from tests.contract.suite import A, B, grant, reader
from tests.unit.privsep.build import (
    Variant,
    build,
    node_with_devices,
    possible,
    variants,
)
from tests.unit.privsep.node import ImitatedKernel
from tests.unit.targets.lio.states import (
    CREDENTIALS,
    DEVICE,
    HOSTS,
    NAME,
    PORTALS,
    SERIAL,
    WRONG,
    exports,
    finished,
    states,
)

READ_ONLY = Grant(B, grant(B).credentials, Mode.RO)

desires = st.one_of(st.none(), exports(), exports(), exports())


def _node(state, variant):
    """Give a node in a state, and the sessions of its hosts."""
    node = node_with_devices()
    return node, build(node, state, variant)


@settings(max_examples=60)
@given(states(), desires, variants)
def test_every_step_does_what_is_said_of_it(state, desired, variant):
    expected = possible(state)
    node, _ = _node(expected, variant)
    kernel = ImitatedKernel(node)
    for step in plan(expected, desired).steps:
        kernel.apply(NAME, [step])
        expected = after(expected, step)
        assert kernel.read(NAME, search=True) == expected, step


class _Watch:
    """Sees after each file operation that nobody is harmed."""

    def __init__(self, node, sessions, desired):
        self._node, self._desired = node, desired
        self._hosts = {
            initiator: sessions[initiator]
            for initiator in sessions
            if initiator in self._grants()
        }
        self._before = node.access(NAME), self._disks()

    def _disks(self):
        """The disks that hosts have and keep, by host and LUN."""
        return {
            (initiator, index): (disk.device, disk.may_write)
            for initiator, session in self._hosts.items()
            for index in self._luns(self._grants()[initiator])
            for disk in [session.other(index)]
        }

    @staticmethod
    def _luns(given):
        main = () if given.mode is None else (0,)
        return (*main, 1) if given.readers_disk else main

    def look(self):
        access, disks = self._node.access(NAME), self._disks()
        (access_before, disks_before) = self._before
        self._before = access, disks
        for (initiator, index), (device, may_write) in disks_before.items():
            if device is not None:
                event(f"a live host with LUN {index}")
                now, writable = disks[initiator, index]
                assert now == device
                read_only = self._grants()[initiator].mode is not Mode.RW
                assert index == 1 or read_only or writable >= may_write
        for way in access:
            if not way.is_covered(access_before) and not self._is_his(way, disks):
                event("access given")
                self._see_that_it_is_granted(way)

    def _is_his(self, way, disks):
        """Say whether a live host has this as its disk already, even a wrong one."""
        return any(
            way.initiator == str(host) and (way.index, way.device) == (index, device)
            for (host, index), (device, _) in disks.items()
        )

    def _see_that_it_is_granted(self, way):
        granted = {str(host): given for host, given in self._grants().items()}
        assert way.initiator in granted, way
        given = granted[way.initiator]
        # Nobody knows a new password but the host that it was made for.
        assert way.credentials is not None
        assert way.credentials[1] == given.credentials.password
        assert way.index in self._luns(given)
        assert way.device == DEVICE
        assert not way.writing or (way.index == 0 and given.mode is Mode.RW)

    def _grants(self):
        return self._desired.grant_of if self._desired is not None else {}


_SHARED = Export(
    NAME,
    DEVICE,
    SERIAL,
    frozenset(PORTALS),
    frozenset({Grant(HOSTS[0], CREDENTIALS[HOSTS[0]], Mode.RW)}),
)
_STALE = frozenset({Grant(HOSTS[0], WRONG, Mode.RW)})


@settings(max_examples=100)
@given(states(), desires, variants)
@example(finished(dataclasses.replace(_SHARED, grants=_STALE)), _SHARED, Variant())
def test_no_file_operation_gives_what_is_not_granted_or_takes_a_disk(
    state, desired, variant
):
    state = possible(state)
    node, sessions = _node(state, variant)
    node.mount.changed = _Watch(node, sessions, desired).look
    LioTarget(ImitatedKernel(node)).ensure(NAME, desired)


@settings(max_examples=60)
@given(states(), desires, variants, st.data())
def test_whatever_a_kill_leaves_is_seen_and_put_right(state, desired, variant, data):
    state = possible(state)
    steps = plan(state, desired).steps
    if not steps:
        return
    whole, _ = _node(state, variant)
    ImitatedKernel(whole).apply(NAME, steps)
    node, _ = _node(state, variant)
    kernel = ImitatedKernel(node)
    node.mount.kill_at = data.draw(st.integers(0, whole.mount.changes - 1))
    with pytest.raises(LostError):
        kernel.apply(NAME, steps)
    left = kernel.read(NAME, search=True)
    rest = plan(left, desired).steps
    end = plan(state, desired).end
    event("finished" if left == end else "unfinished")
    assert rest or left == end
    LioTarget(kernel).ensure(NAME, desired)
    now = kernel.read(NAME, search=True)
    assert now == end


@pytest.mark.parametrize(
    ("before", "after_it"),
    [
        ([], [grant(A), READ_ONLY]),
        ([grant(A)], [grant(A), READ_ONLY]),
        ([grant(A), READ_ONLY], [grant(A), grant(B, secret="new")]),
        ([grant(A), grant(B)], [grant(A)]),
        ([grant(A)], None),
        ([grant(A)], [grant(A), reader(B)]),
        ([grant(A), reader(B)], [grant(A)]),
        ([reader(A, Mode.RW)], [grant(A), reader(B, Mode.RO)]),
        ([grant(A), reader(B)], None),
    ],
)
def test_kill_at_any_file_operation_is_not_felt_by_who_asked(lab, before, after_it):
    """The privileged process is started again, and goes on where it got to."""
    mount = lab.node.mount
    desired = None if after_it is None else lab.export(*after_it)
    for count in itertools.count():
        lab.ensure(lab.export(*before) if before else None)
        session = lab.login(grant(A)) if before else None
        mount.kill_at = mount.changes + count
        lab.target.ensure(lab.name, desired)
        killed, mount.kill_at = mount.kill_at is None, None
        assert lab.target.findings(lab.name, desired) == ()
        assert lab.target.ensure(lab.name, desired) == Result()
        if session is not None:
            assert session.may_write is (desired is not None)
        if not killed:
            break
    assert count >= 3
