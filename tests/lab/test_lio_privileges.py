# SPDX-License-Identifier: Apache-2.0
"""Law 7 on a real node: a plain user, sudo, rootwrap and the privileged process."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from lab.node import Call
from lab.single import SingleNode
from taikun_cinder.access.model import Mode
from taikun_cinder.access.observed import Observed
from taikun_cinder.targets.base import Changed, Unchanged
from tests.contract.suite import A, B, grant
from tests.lab.lio_world import LioLab, LioWorld

CAP_SYS_ADMIN = 21  # linux/capability.h


@pytest.fixture
def process(node: SingleNode) -> Iterator[Call]:
    """A process of root in the node, to look at things from."""
    with node.node.session() as session:
        yield session


@pytest.fixture
def lab(process: Call) -> LioLab:
    """The node with one volume in it."""
    return LioLab(LioWorld(process))


def as_user(
    process: Call, *requests: tuple[str, Sequence[Any]] | tuple[str]
) -> dict[str, Any]:
    """Make calls as the plain user, in one process."""
    whole = [(one[0], one[1] if len(one) > 1 else ()) for one in requests]
    return dict(process("tests.lab.guest.plain_user", "calls", whole))


def test_a_plain_user_exports_by_one_process_with_one_capability(
    process: Call, lab: LioLab
) -> None:
    one = lab.export(grant(A))
    two = lab.export(grant(A), grant(B, Mode.RO))
    told = as_user(
        process,
        ("ensure", (lab.name, one)),
        ("ensure", (lab.name, two)),
        ("ensure", (lab.name, two)),
        ("ensure", (lab.name, one)),
        ("names", (lab.world.prefix,)),
    )
    first, second, third, fourth, names = told["results"]
    assert all(isinstance(outcome, Changed) for outcome in (first, second, fourth))
    assert third == Unchanged(second.observed)
    assert names == {lab.name}
    assert told["processes"][1:] == [0, 0, 0, 0]
    (status,) = told["status"]
    effective = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert effective
    assert int(effective[1], 16) == 1 << CAP_SYS_ADMIN
    lab.login(grant(A)).write(b"exported by a plain user")


def test_no_secret_is_logged_or_shown_to_other_users(
    process: Call, lab: LioLab
) -> None:
    export = lab.export(grant(A), grant(B))
    changed = lab.export(grant(A, secret="new"))
    bad = lab.export(grant(A, secret="with a blank "))
    told = as_user(
        process,
        ("ensure", (lab.name, export)),
        ("read", (lab.name,)),
        ("ensure", (lab.name, changed)),
        ("ensure", (lab.name, bad)),
        ("read", (lab.name,)),
    )
    assert "privsep: reply" in told["log"]  # it was a debug log
    assert "printable ASCII" in told["results"][3]
    assert told["results"][4].acls[A].credentials == grant(A, secret="new").credentials
    for text in (told["log"], told["argv"], told["results"][3]):
        assert "secretsecret" not in text
        assert "with a blank" not in text


def test_a_killed_privileged_process_is_started_again(
    process: Call, lab: LioLab
) -> None:
    export = lab.export(grant(A))
    told = as_user(
        process,
        ("ensure", (lab.name, export)),
        ("lose",),
        ("ensure", (lab.name, lab.export(grant(A), grant(B)))),
        ("lose",),
        ("read", (lab.name,)),
    )
    assert isinstance(told["results"][2], Changed)
    assert told["results"][4].acls.keys() == {A, B}


def test_it_loads_the_modules_by_itself(process: Call, lab: LioLab) -> None:
    lab.world.guest("unload")
    export = lab.export(grant(A))
    told = as_user(
        process,
        ("read", (lab.name,)),
        ("ensure", (lab.name, export)),
    )
    assert told["results"][0] == Observed(lab.name)
    assert isinstance(told["results"][1], Changed), told["results"][1]
    lab.login(grant(A)).write(b"modules and all")
