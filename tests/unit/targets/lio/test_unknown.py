# SPDX-License-Identifier: Apache-2.0
"""Access whose password nobody knows: it is kept as it is, and never made."""

import dataclasses
import hmac

from taikun_cinder.access.model import Credentials, Export, Grant, Mode, Sealed
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.plan import plan
from tests.contract.suite import A, B, grant
from tests.unit.targets.lio.states import NAME, PORTALS, finished

DESIRED = Export(NAME, "/dev/vg/volume-1", "serial-1", frozenset(PORTALS))
UNKNOWN = Grant(A, Credentials("user", ""), Mode.RW)


def _observed(credentials):
    """Give an export where A has these, and B its own."""
    known = Grant(A, Credentials("user", "old"), Mode.RW)
    whole = finished(dataclasses.replace(DESIRED, grants=frozenset({known, grant(B)})))
    digest = hmac.digest(b"key", b"old", "sha256")
    sealed = Sealed(credentials, digest, b"key")
    acls = {**whole.acls, A: dataclasses.replace(whole.acls[A], credentials=sealed)}
    tpg = dataclasses.replace(whole.target.tpg, acls=acls)
    target = dataclasses.replace(whole.target, tpg=tpg)
    return dataclasses.replace(whole, target=target)


def _wanted(*grants):
    return dataclasses.replace(DESIRED, grants=frozenset(grants))


def test_it_is_kept_as_it_is():
    assert plan(_observed("user"), _wanted(UNKNOWN, grant(B))).steps == ()


def test_it_is_ended_where_it_is_another():
    found = plan(_observed("somebody"), _wanted(UNKNOWN, grant(B))).steps
    assert found == (steps.RemoveAcl(A),)


def test_it_is_not_made_anew_and_keeps_nobody_else_out():
    whole = finished(_wanted(grant(B)))
    assert plan(whole, _wanted(UNKNOWN, grant(B))).steps == ()


def test_it_ends_with_its_grant():
    assert plan(_observed("user"), _wanted(grant(B))).steps == (steps.RemoveAcl(A),)
