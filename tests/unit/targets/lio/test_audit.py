# SPDX-License-Identifier: Apache-2.0
"""Every difference is explained, and no secret is told (laws 3 and 7)."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.targets.lio.audit import audit
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.plan import plan
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import CreateAcl, SetCredentials, after
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

A, B, C = HOSTS
DESIRED = Export(
    NAME,
    DEVICE,
    SERIAL,
    frozenset(PORTALS),
    frozenset({Grant(A, CREDENTIALS[A], Mode.RW)}),
)


@settings(max_examples=300)
@given(states(), st.one_of(st.none(), exports()))
def test_audit_tells_exactly_what_plan_would_change_or_leave(observed, desired):
    found = audit(observed, desired)
    assert bool(found) >= bool(plan(observed, desired).steps)
    text = " ".join(map(str, found))
    assert not any(
        credentials.password in text for credentials in [WRONG, *CREDENTIALS.values()]
    )
    if found and all(difference.waits for difference in found):
        assert not plan(observed, desired).steps


def test_every_kind_of_difference_is_explained():
    assert all(kind.means for kind in Kind)


def test_finding_says_who_what_and_what_it_means():
    observed = after(finished(DESIRED), CreateAcl(C))
    observed = after(observed, SetCredentials(A, WRONG))
    foreign, stale = audit(observed, DESIRED)
    assert str(foreign) == (
        f"{NAME}, {C}: foreign-acl: there is an ACL, there should be none: this host "
        "can reach the volume, and no attachment says so."
    )
    assert (stale.kind, stale.initiator) == (Kind.CREDENTIALS, A)
    assert stale.found == "another username"


def test_what_must_wait_for_a_live_host_says_so():
    taken = Export(NAME, DEVICE, "in-tree", DESIRED.portals, DESIRED.grants)
    (finding,) = audit(finished(taken, {A}), DESIRED)
    assert (finding.kind, finding.waits) == (Kind.SERIAL, True)
    assert "attached hosts are logged in" in str(finding)
    (finding,) = audit(finished(taken), DESIRED)
    assert not finding.waits


def test_nothing_to_tell_of_what_is_right():
    assert audit(finished(DESIRED), DESIRED) == ()
    assert audit(LioState(NAME), None) == ()


def test_of_two_wrong_luns_only_the_one_that_a_live_host_has_waits():
    desired = replace(DESIRED, serial="in-tree")
    observed = finished(desired, {A})
    luns = {0: "another", 7: "another"}
    tpg = replace(observed.tpg, luns=luns)
    observed = replace(observed, target=replace(observed.target, tpg=tpg))
    held, free = [
        found for found in audit(observed, desired) if found.kind is Kind.LUN
    ][:2]
    assert (held.found, held.waits, held.step) == ("LUN 0 leads to another", True, "")
    assert (free.found, free.waits) == ("LUN 7 leads to another", False)
    assert free.step == "RemoveLun(index=7)"
