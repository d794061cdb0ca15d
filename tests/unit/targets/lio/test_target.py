# SPDX-License-Identifier: Apache-2.0
"""What a target of LIO asks the kernel for, and does not ask for."""

from typing import Any

import pytest

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.exception import TargetUnreadable
from taikun_cinder.node import Problem
from taikun_cinder.targets.lio import readiness
from taikun_cinder.targets.lio.target import LioTarget
from tests.contract.memory import MemoryKernel
from tests.unit.targets.lio.states import CREDENTIALS, DEVICE, HOSTS, NAME, SERIAL

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
