# SPDX-License-Identifier: Apache-2.0
"""What a target of LIO asks the kernel for, and does not ask for."""

import dataclasses
from typing import Any

import pytest

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.exception import StepFailed, TargetUnreadable
from taikun_cinder.node import Problem
from taikun_cinder.targets.lio import readiness
from taikun_cinder.targets.lio.kernel import LostError
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.target import LioTarget
from tests.contract.memory import MemoryKernel
from tests.unit.targets.lio.states import (
    CREDENTIALS,
    DEVICE,
    HOSTS,
    NAME,
    PORTALS,
    SERIAL,
)

A, B, _ = HOSTS


class Asked(MemoryKernel):
    """A LIO in memory that remembers how it was read."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def read(self, name, *, search=False, about=None):
        self.reads.append((search, about))
        return super().read(name, search=search, about=about)


@pytest.fixture
def kernel():
    return Asked()


@pytest.fixture
def target(kernel):
    return LioTarget(kernel)


def _export(*grants):
    return Export(NAME, DEVICE, SERIAL, frozenset(), frozenset(grants))


@pytest.mark.parametrize("desired", [None, _export()])
def test_backstores_of_nobody_are_searched_for_where_nothing_should_be(
    target, kernel, desired
):
    target.findings(NAME, desired)
    assert kernel.reads == [(desired is None, None)]


def test_export_by_another_name_is_not_looked_at(target, kernel):
    with pytest.raises(ValueError, match=NAME):
        target.findings("iqn.2010-10.org.openstack:volume-2", _export())
    assert not kernel.reads


def test_only_the_host_that_is_to_be_cut_off_is_looked_at(target, kernel):
    grants = [Grant(one, CREDENTIALS[one], Mode.RW) for one in (A, B)]
    target.ensure(NAME, _export(*grants))
    kernel.reads.clear()
    assert target.revoke(NAME, A)
    assert kernel.reads[0] == (False, {A})
    assert kernel.read(NAME).acls.keys() == {B}
    assert not target.revoke(NAME, A)


@pytest.mark.parametrize(
    ("desired", "named", "searched"),
    [
        (None, {}, True),
        (None, {"search": False}, False),
        (_export(), {}, False),
        (_export(), {"search": True}, False),
    ],
)
def test_backstores_of_nobody_are_removed_where_nothing_should_be(
    target, kernel, desired, named, searched
):
    target.ensure(NAME, desired, **named)
    assert kernel.reads[0] == (searched, None)


def test_export_by_another_name_is_not_made(target, kernel):
    with pytest.raises(ValueError, match=NAME):
        target.ensure("iqn.2010-10.org.openstack:volume-2", _export())
    assert not kernel.reads


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("change", ["ensure", "revoke"])
def test_change_whose_privileged_process_is_lost_is_made_once_more(
    target, kernel, monkeypatch, caplog, change, times
):
    let_in = _export(Grant(A, CREDENTIALS[A], Mode.RW))
    if change == "revoke":
        target.ensure(NAME, let_in)
    failure = StepFailed(target=NAME, step="one", cause="gone")
    lost = [LostError(failure, OSError("gone")) for _ in range(times)]
    apply = kernel.apply

    def apply_if_it_lives(name, steps):
        if lost:
            raise lost.pop()
        apply(name, steps)

    monkeypatch.setattr(kernel, "apply", apply_if_it_lives)

    def make_it():
        if change == "revoke":
            target.revoke(NAME, A)
        else:
            target.ensure(NAME, let_in)

    if times == 2:
        with pytest.raises(StepFailed) as told:
            make_it()
        assert told.value is failure
    else:
        make_it()
        assert (A in kernel.read(NAME).acls) is (change == "ensure")
    (warned,) = caplog.records
    assert f"export {NAME} was put right" in warned.getMessage()


@pytest.mark.parametrize("about", [None, {A}])
def test_who_is_logged_in_already_is_told(target, kernel, about):
    export = _export(Grant(A, CREDENTIALS[A], Mode.RW))
    assert target.ensure(NAME, export, about=about).connected == frozenset()
    kernel.login(NAME, A, CREDENTIALS[A])
    assert target.ensure(NAME, export, about=about).connected == {A}


def test_what_was_put_right_is_told_change_by_change(target, kernel):
    one, two = PORTALS[:2]
    export = dataclasses.replace(_export(), portals=frozenset({one, two}))
    whole = target.ensure(NAME, export)
    assert len(whole.put_right) == len(whole.changes)
    assert whole.put_right.count(Kind.PORTAL) == 2
    target.ensure(NAME, None)
    kernel.taken = {one}
    partly = target.ensure(NAME, export)
    assert len(partly.put_right) == len(partly.changes)
    assert partly.put_right.count(Kind.PORTAL) == 1
    nothing = target.ensure(NAME, dataclasses.replace(export, portals=frozenset({two})))
    assert (nothing.changes, nothing.put_right) == ((), ())


@pytest.mark.parametrize("taken", PORTALS)
def test_portal_that_cannot_be_had_keeps_no_other_from_its_place(target, kernel, taken):
    export = dataclasses.replace(_export(), portals=frozenset())
    target.ensure(NAME, export)
    kernel.taken = {taken}
    result = target.ensure(
        NAME, dataclasses.replace(export, portals=frozenset(PORTALS))
    )
    assert kernel.read(NAME).tpg.portals == set(PORTALS) - {taken}
    (left,) = result.left
    assert (left.kind, left.target, left.wanted) == (Kind.PORTAL, NAME, str(taken))
    assert left.waits is False


def test_what_waits_for_a_live_host_is_told_with_its_target(target, kernel):
    export = _export(Grant(A, CREDENTIALS[A], Mode.RW))
    target.ensure(NAME, export)
    kernel.login(NAME, A, CREDENTIALS[A])
    moved = dataclasses.replace(export, device="/dev/vg/other")
    result = target.ensure(NAME, moved)
    assert {(one.target, one.waits) for one in result.left} == {(NAME, True)}


def test_failure_of_no_step_is_told_as_it_is(target, kernel, monkeypatch):
    failure = StepFailed(target=NAME, step="one of many", cause="nonsense")

    def apply(name, steps):
        raise failure

    monkeypatch.setattr(kernel, "apply", apply)
    with pytest.raises(StepFailed) as told:
        target.ensure(NAME, _export())
    assert told.value is failure


def test_host_that_is_let_in_is_looked_at_first(target, kernel):
    grants = [Grant(one, CREDENTIALS[one], Mode.RW) for one in (A, B)]
    target.ensure(NAME, _export(grants[0]))
    kernel.reads.clear()
    target.ensure(NAME, _export(*grants), about={B})
    assert kernel.reads[0] == (False, {B})
    assert kernel.read(NAME).acls.keys() == {A, B}


def test_lack_of_readers_disks_is_told_once_for_each_cause(target, kernel, caplog):
    lacks = ["no module", "no module", "too old", "", "never asked"]
    kernel.lack_of_readers_disk = lambda: lacks.pop(0)
    told = [target.can_show_readers_disk() for _ in range(5)]
    assert told == [False, False, False, True, True]
    assert [one.args for one in caplog.records] == [("no module",), ("too old",)]
    assert lacks == ["never asked"]


def test_pool_says_that_readers_have_no_disk_where_nobody_can_tell(target, kernel):
    def lack():
        raise TargetUnreadable(target=NAME, cause="gone")

    kernel.lack_of_readers_disk = lack
    assert target.capabilities["readers_disk"] is False
    kernel.lack_of_readers_disk = lambda: ""
    assert target.capabilities["readers_disk"] is True


def test_node_is_asked_about_all_that_was_given(monkeypatch):
    problem, asked = Problem("a fault", "a cure"), []

    def problems(*given):
        asked.append(given)
        yield problem

    monkeypatch.setattr(readiness, "problems", problems)
    given: Any = object(), [object()], [object()], "group"
    assert list(LioTarget.problems(*given)) == [problem]
    assert asked == [given]
