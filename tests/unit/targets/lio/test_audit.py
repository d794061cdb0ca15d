# SPDX-License-Identifier: Apache-2.0
"""Every difference is explained, and no secret is told (laws 3 and 7)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taikun_cinder.access.model import Credentials, Export, Grant, Mode, Portal
from taikun_cinder.targets.lio.audit import audit
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.plan import plan
from taikun_cinder.targets.lio.states import (
    CHANGING,
    PASSABLE,
    LioState,
    MappedLunState,
)
from taikun_cinder.targets.lio.steps import CreateAcl, SetCredentials, after
from tests.unit.targets.lio.states import (
    ANYWHERE,
    CREDENTIALS,
    DEVICE,
    HOSTS,
    NAME,
    OTHER,
    PORTALS,
    READERS,
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


#: As desired, but for what each of these says: A writes, B has the readers' disk.
SHARED = replace(
    DESIRED, grants=DESIRED.grants | {Grant(B, CREDENTIALS[B], None, readers_disk=True)}
)


def _tpg(observed, **changes):
    tpg = replace(observed.tpg, **changes)
    return replace(observed, target=replace(observed.target, tpg=tpg))


def _acl(observed, initiator, **changes):
    acl = replace(observed.acls[initiator], **changes)
    return _tpg(observed, acls={**observed.acls, initiator: acl})


def _main(observed, **changes):
    return replace(observed, backstore=replace(observed.backstore, **changes))


def _readers(observed, **changes):
    return replace(observed, readers=replace(observed.readers, **changes))


def _told(observed, desired=SHARED):
    """Give what an operator is told, with the first step against it."""
    return [
        (str(one.kind), one.initiator, one.found, one.wanted, one.step)
        for one in audit(observed, desired)
    ]


WHOLE = finished(SHARED)
ELSEWHERE = Portal("192.0.2.9")
NO_LUN = f"UnmapLun(initiator={A!r}, index=0)"


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        (
            _tpg(WHOLE, attributes={**WHOLE.tpg.attributes, "authentication": 0}),
            (
                "attribute",
                None,
                "authentication=0",
                "authentication=1",
                "SetAttribute(name='authentication', value=1)",
            ),
        ),
        (
            replace(WHOLE, target=replace(WHOLE.target, other_tpgs=frozenset({2}))),
            ("other-tpg", None, "TPG 2", "none", "RemoveTpg(tag=2)"),
        ),
        (
            _acl(WHOLE, A, mapped={**WHOLE.acls[A].mapped, 5: MappedLunState(0, True)}),
            (
                "mapped-lun",
                A,
                "LUN 5",
                "none",
                f"UnmapLun(initiator={A!r}, index=5)",
            ),
        ),
        (
            _acl(WHOLE, B, mapped={1: MappedLunState(1, write_protect=False)}),
            (
                "writable",
                B,
                "read and write",
                "read only",
                f"SetWriteProtect(initiator={B!r}, write_protect=True, index=1)",
            ),
        ),
        (
            _acl(WHOLE, A, mapped={0: MappedLunState(0, write_protect=True)}),
            (
                "read-only",
                A,
                "read only",
                "read and write",
                f"SetWriteProtect(initiator={A!r}, write_protect=False, index=0)",
            ),
        ),
        (
            _acl(WHOLE, A, mapped={}),
            (
                "mapped-lun",
                A,
                "none",
                "LUN 0",
                f"MapLun(initiator={A!r}, write_protect=False, index=0)",
            ),
        ),
        (
            _acl(WHOLE, B, mapped={}),
            (
                "readers-disk",
                B,
                "none",
                "LUN 1",
                f"MapLun(initiator={B!r}, write_protect=True, index=1)",
            ),
        ),
        (_main(WHOLE, serial=""), ("serial", None, "none", SERIAL, NO_LUN)),
        (
            _main(WHOLE, refuses=frozenset({"emulate_caw"})),
            (
                "refused",
                None,
                "emulate_caw=0",
                "not 0",
                "SetRefused(name='emulate_caw', refused=False)",
            ),
        ),
        (
            _main(WHOLE, discard=True),
            (
                "discard",
                None,
                "discard=True",
                "discard=False",
                "SetDiscard(discard=False)",
            ),
        ),
        (
            _readers(WHOLE, refuses=CHANGING - {"emulate_pr", "emulate_tpu"}),
            (
                "passable",
                None,
                "emulate_pr, emulate_tpu not 0 for readers",
                "0",
                "HardenReaders()",
            ),
        ),
        (
            _tpg(WHOLE, portals=SHARED.portals | {ELSEWHERE}),
            (
                "extra-portal",
                None,
                "192.0.2.9:3260",
                "none",
                "RemovePortal(portal=Portal(address='192.0.2.9', port=3260))",
            ),
        ),
        (
            _tpg(WHOLE, portals=SHARED.portals - {PORTALS[0]}),
            (
                "portal",
                None,
                "none",
                "192.0.2.1:3260",
                "AddPortal(portal=Portal(address='192.0.2.1', port=3260))",
            ),
        ),
        (
            _tpg(WHOLE, enabled=False),
            ("disabled", None, "disabled", "enabled", "EnableTpg()"),
        ),
    ],
)
def test_what_is_wrong_alone_is_told_with_its_step(observed, told):
    assert _told(observed) == [told]


@pytest.mark.parametrize(
    ("credentials", "found"),
    [
        (None, "none"),
        (WRONG, "another username"),
        (Credentials(CREDENTIALS[A].username, "old"), "another password"),
    ],
)
def test_login_that_is_not_its_attachments_is_told_without_the_password(
    credentials, found
):
    ((kind, initiator, is_, wanted, step),) = _told(
        _acl(WHOLE, A, credentials=credentials)
    )
    assert (kind, initiator) == ("credentials", A)
    assert (is_, wanted) == (found, "its attachment's")
    assert step.startswith(f"SetCredentials(initiator={A!r}")
    assert CREDENTIALS[A].password not in step


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        (
            _main(WHOLE, device="/dev/vg/other"),
            [
                ("device", None, "/dev/vg/other", DEVICE, NO_LUN),
                (
                    "mapped-lun",
                    A,
                    "one that does not",
                    "one that leads to the volume's device by the TPG's LUN 0",
                    NO_LUN,
                ),
            ],
        ),
        (
            _main(WHOLE, active=False),
            [
                ("backstore", None, "half-built", "active", NO_LUN),
                (
                    "mapped-lun",
                    A,
                    "one that does not",
                    "one that leads to the volume's device by the TPG's LUN 0",
                    NO_LUN,
                ),
            ],
        ),
        (
            _tpg(WHOLE, luns={0: None, 1: READERS, 7: OTHER}),
            [
                (
                    "lun",
                    None,
                    "LUN 0 leads to nothing",
                    f"one that leads to {NAME}",
                    NO_LUN,
                ),
                ("lun", None, f"LUN 7 leads to {OTHER}", "none", "RemoveLun(index=7)"),
                (
                    "mapped-lun",
                    A,
                    "one that does not",
                    "one that leads to the volume's device by the TPG's LUN 0",
                    NO_LUN,
                ),
            ],
        ),
        (
            LioState(NAME),
            [
                ("acl", A, "none", "an ACL, rw", ""),
                ("acl", B, "none", "an ACL, the readers' disk", ""),
                (
                    "backstore",
                    None,
                    "none",
                    DEVICE,
                    f"CreateBackstore(device='{DEVICE}', serial='{SERIAL}')",
                ),
                (
                    "readers-disk",
                    None,
                    "none",
                    DEVICE,
                    f"CreateReaders(device='{DEVICE}', "
                    f"serial='{WHOLE.readers.serial}')",
                ),
                ("target", None, "none", "a target", "CreateTarget()"),
            ],
        ),
        (
            replace(WHOLE, target=replace(WHOLE.target, tpg=None)),
            [
                ("acl", A, "none", "an ACL, rw", ""),
                ("acl", B, "none", "an ACL, the readers' disk", ""),
                ("tpg", None, "none", "a TPG", "CreateTpg()"),
            ],
        ),
        (
            _tpg(WHOLE, luns={}, acls={}),
            [
                ("acl", A, "none", "an ACL, rw", ""),
                ("acl", B, "none", "an ACL, the readers' disk", ""),
                ("lun", None, "none", f"LUN 0, to {NAME}", "AddLun(index=0)"),
                (
                    "readers-disk",
                    None,
                    "none",
                    f"LUN 1, to {READERS}",
                    "AddLun(index=1)",
                ),
            ],
        ),
    ],
)
def test_what_is_wrong_with_what_hosts_stand_on_is_told(observed, told):
    assert sorted(_told(observed), key=str) == sorted(told, key=str)


@pytest.mark.parametrize(
    ("readers", "found", "wanted"),
    [
        ({"active": False}, "half-built", "active"),
        ({"device": "/dev/vg/other"}, "/dev/vg/other", DEVICE),
        ({"serial": ""}, "no serial", WHOLE.readers.serial),
    ],
)
def test_wrong_readers_disk_is_told_and_the_main_one_is_left(readers, found, wanted):
    first = _told(_readers(WHOLE, **readers))[-1]
    step = f"UnmapLun(initiator={B!r}, index=1)"
    assert first == ("readers-disk", None, found, wanted, step)


def test_what_is_left_of_nobodys_is_told():
    assert _told(WHOLE, None) == [
        ("foreign-acl", A, "an ACL", "none", f"RemoveAcl(initiator={A!r})"),
        ("foreign-acl", B, "an ACL", "none", f"RemoveAcl(initiator={B!r})"),
        ("unwanted", None, "a target", "none", "RemoveTarget()"),
        ("unwanted", None, "a backstore", "none", "RemoveBackstore()"),
        ("unwanted", None, "a backstore for readers", "none", "RemoveReaders()"),
    ]
    unseen = replace(finished(DESIRED), readers=WHOLE.readers)
    assert _told(unseen, DESIRED) == [
        ("readers-disk", None, "one", "none, as no host sees it", "RemoveReaders()")
    ]


def test_host_that_may_only_read_the_main_disk_is_kept_from_crafted_writes():
    desired = replace(DESIRED, grants=frozenset({Grant(A, CREDENTIALS[A], Mode.RO)}))
    observed = _main(finished(desired), refuses=PASSABLE - {"emulate_caw"})
    assert _told(observed, desired) == [
        (
            "passable",
            None,
            "emulate_caw not 0",
            "emulate_caw=0",
            "SetRefused(name='emulate_caw', refused=True)",
        )
    ]


def test_portal_that_a_live_host_may_have_come_by_waits():
    (finding,) = audit(
        _tpg(finished(DESIRED, {A}), portals=DESIRED.portals | {ELSEWHERE}), DESIRED
    )
    assert (finding.kind, finding.step, finding.waits) == (Kind.EXTRA_PORTAL, "", True)


def test_portal_that_another_one_of_a_live_host_is_in_the_way_of_waits():
    desired = replace(DESIRED, portals=frozenset({ANYWHERE}))
    observed = _tpg(finished(DESIRED, {A}), portals=frozenset({PORTALS[0]}))
    assert _told(observed, desired) == [
        ("extra-portal", None, "192.0.2.1:3260", "none", ""),
        ("portal", None, "none", "0.0.0.0:3260", ""),
    ]
