# SPDX-License-Identifier: Apache-2.0
"""Law 7 on a real node: a plain user, sudo, rootwrap and the privileged process."""

import re
from collections.abc import Sequence
from typing import Any

from lab.node import Call
from taikun_cinder.access.model import ExportState, Mode
from taikun_cinder.targets.base import Result
from tests.contract.suite import A, B, grant
from tests.lab.lio_world import NodeLab

CAP_SYS_ADMIN = 21  # linux/capability.h


def as_user(
    process: Call, *requests: tuple[str, Sequence[Any]] | tuple[str]
) -> dict[str, Any]:
    """Make calls as the plain user, in one process."""
    whole = [
        (request[0], request[1] if len(request) > 1 else ()) for request in requests
    ]
    return dict(process("tests.lab.guest.plain_user", "calls", whole))


def test_a_plain_user_runs_the_python_of_the_lab(process: Call) -> None:
    """And not the machine's, whose library a copy of the interpreter may find."""
    assert len(process("tests.lab.guest.plain_user", "interpreters")) == 1


def test_a_plain_user_exports_by_one_process_with_one_capability(
    process: Call, lab: NodeLab
) -> None:
    alone = lab.export(grant(A))
    both = lab.export(grant(A), grant(B, Mode.RO))
    told = as_user(
        process,
        ("ensure", (lab.name, alone)),
        ("ensure", (lab.name, both)),
        ("ensure", (lab.name, both)),
        ("ensure", (lab.name, alone)),
        ("names", (lab.world.prefix,)),
    )
    first, second, third, fourth, names = told["results"]
    assert all(result.changes for result in (first, second, fourth))
    assert third == Result()
    assert names == {lab.name}
    assert told["processes"][1:] == [0, 0, 0, 0]
    (status,) = told["status"]
    effective = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert effective
    assert int(effective[1], 16) == 1 << CAP_SYS_ADMIN
    lab.login(grant(A)).write(b"exported by a plain user")


def test_no_secret_is_logged_or_shown_to_other_users(
    process: Call, lab: NodeLab
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
    assert told["results"][4].hosts[A].credentials == grant(A, secret="new").credentials
    for text in (told["log"], told["argv"], told["results"][3]):
        assert "secretsecret" not in text
        assert "with a blank" not in text


def test_a_killed_privileged_process_is_started_again(
    process: Call, lab: NodeLab
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
    assert told["results"][2].changes
    assert told["results"][4].hosts.keys() == {A, B}


def test_it_loads_the_modules_by_itself(process: Call, lab: NodeLab) -> None:
    lab.world.guest("unload")
    export = lab.export(grant(A))
    told = as_user(
        process,
        ("read", (lab.name,)),
        ("ensure", (lab.name, export)),
    )
    assert told["results"][0] == ExportState(lab.name)
    assert told["results"][1].changes, told["results"][1]
    lab.login(grant(A)).write(b"modules and all")


def test_sudoers_can_let_the_user_start_our_privileged_process_and_no_other(
    process: Call, lab: NodeLab
) -> None:
    """The lines of the security page."""
    export = lab.export(grant(A))
    assert not as_user(process, ("read", (lab.name,)))["results"][0].hosts
    assert len(process("tests.lab.guest.plain_user", "attempts")) == 3  # it can fail
    before = process("tests.lab.guest.plain_user", "close")
    try:
        assert process("tests.lab.guest.plain_user", "attempts") == []
        told = as_user(process, ("ensure", (lab.name, export)))
    finally:
        process("tests.lab.guest.plain_user", "reopen", before)
    assert told["results"][0].changes, told["results"]
    lab.login(grant(A)).write(b"exported by the one process that is let through")
