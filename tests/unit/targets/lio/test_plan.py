# SPDX-License-Identifier: Apache-2.0
"""A plan leads from any state to any other and harms no host (laws 1 to 4)."""

import functools
import itertools
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.targets.lio import disk_steps, steps
from taikun_cinder.targets.lio.differences import differences
from taikun_cinder.targets.lio.plan import personal, plan
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    PASSABLE,
    LioState,
    MappedLunState,
    readers_serial,
)
from taikun_cinder.targets.lio.steps import after
from taikun_cinder.targets.lio.view import View
from tests.unit.targets.lio.states import (
    ANYWHERE,
    CREDENTIALS,
    DEVICE,
    HOSTS,
    NAME,
    PORTALS,
    READERS,
    SERIAL,
    WRONG,
    exports,
    finished,
    states,
    with_sessions,
)

A, B, C = HOSTS
desires = st.one_of(st.none(), exports(), exports(), exports())
thoroughly = settings(max_examples=300)


def _walk(observed, desired):
    """Every state on the way, the first and the last included."""
    return list(
        itertools.accumulate(plan(observed, desired).steps, after, initial=observed)
    )


def _disk(observed, initiator, index=0):
    """One disk of a host that is logged in: its backstore, by name and state."""
    acl = observed.acls.get(initiator)
    mapped = acl.mapped.get(index) if acl and acl.session else None
    name = observed.luns.get(mapped.lun) if mapped else None
    return name and (name, _behind(observed, name))


def _behind(observed, name):
    """What a host knows a backstore by."""
    state = {NAME: observed.backstore, READERS: observed.readers}.get(name)
    return state and (state.device, state.serial)


def _granted(grant, index):
    """Whether a grant shows a disk, and whether it may be written to."""
    if index == 0 and grant.mode is not None:
        return True, grant.mode is Mode.RW
    return index == 1 and grant.readers_disk, False


def _accesses(observed):
    """All access: (initiator, credentials, LUN, backstore by name and state, rw)."""
    tpg = observed.tpg
    if tpg is None or not tpg.enabled:
        return set()
    return {
        (
            initiator,
            acl.credentials,
            index,
            name,
            _behind(observed, name),
            rw,
        )
        for initiator, acl in tpg.acls.items()
        for index, mapped in acl.mapped.items()
        if (name := tpg.luns.get(mapped.lun))
        for rw in ([False] if mapped.write_protect else [False, True])
    }


def _gains(before, now):
    """The access that a step gives.

    Not counted is what a live host has as its disk already, even a wrong one: it must
    not lose that, and may be given its own credentials meanwhile.
    """
    return {
        access
        for access in _accesses(now) - _accesses(before)
        if not _disk(before, access[0], access[2])
        or _disk(now, access[0], access[2]) != _disk(before, access[0], access[2])
    }


@thoroughly
@given(states(), exports())
def test_plan_takes_no_disk_from_a_live_host_that_keeps_its_grant(observed, desired):
    for before, now in itertools.pairwise(_walk(observed, desired)):
        for (initiator, grant), index in itertools.product(
            desired.grant_of.items(), (0, 1)
        ):
            shown, writable = _granted(grant, index)
            if shown and (disk := _disk(before, initiator, index)):
                event(f"a live host with disk {index}")
                assert _disk(now, initiator, index) == disk
                old, new = (
                    state.acls[initiator].mapped[index] for state in (before, now)
                )
                if writable:
                    assert new.write_protect <= old.write_protect


@thoroughly
@given(states(), desires)
def test_plan_gives_nothing_that_is_not_granted(observed, desired):
    for before, now in itertools.pairwise(_walk(observed, desired)):
        for initiator, credentials, index, name, backstore, rw in _gains(before, now):
            grant = desired.grant_of[initiator]
            event("access given")
            assert credentials == grant.credentials
            shown, writable = _granted(grant, index)
            assert shown
            assert (name, backstore[0]) == ((NAME, READERS)[index], DEVICE)
            assert rw <= writable
            assert now.tpg.attributes.items() >= ATTRIBUTES.items()
            assert not now.target.other_tpgs


def _stays(observed, desired, *, logins):
    """The access that is left when a plan first gives any.

    Args:
        observed: what is.
        desired: what should be.
        logins: whether a step counts that changes a login: it takes the old one, and
            gives the new one.
    """
    walk = _walk(observed, desired)
    gaining = (
        pair
        for step, pair in zip(
            plan(observed, desired).steps, itertools.pairwise(walk), strict=True
        )
        if logins or not isinstance(step, steps.SetCredentials)
        if _gains(*pair)
    )
    before, now = next(gaining, (walk[-1], walk[-1]))
    return _accesses(before) & _accesses(now)


@thoroughly
@given(states(), desires)
def test_plan_revokes_before_it_grants(observed, desired):
    granted = desired.grant_of if desired else {}
    for initiator, _, index, _, _, rw in _stays(observed, desired, logins=True):
        event("access before the first grant")
        assert initiator in granted
        shown, writable = _granted(granted[initiator], index)
        assert shown
        assert rw <= writable
    for initiator, credentials, *_ in _stays(observed, desired, logins=False):
        event("logins before the first disk")
        assert credentials == granted[initiator].credentials


def test_logins_of_several_hosts_change_before_any_gets_a_disk():
    """By then none leads where it should not; which is the first does not matter."""
    desired = Export(
        NAME,
        DEVICE,
        SERIAL,
        frozenset(),
        frozenset(Grant(host, CREDENTIALS[host], Mode.RW) for host in HOSTS),
    )
    right = finished(desired)
    old = replace(right.acls[A], credentials=WRONG)
    observed = replace(
        right,
        target=replace(
            right.target,
            tpg=replace(
                right.tpg,
                acls={A: old, B: old, C: replace(right.acls[C], mapped={})},
            ),
        ),
    )
    kinds = [type(step) for step in plan(observed, desired).steps]
    assert kinds == [steps.SetCredentials, steps.SetCredentials, steps.MapLun]


@thoroughly
@given(states(), desires)
def test_plan_leads_exactly_to_what_is_desired(observed, desired):
    last = _walk(observed, desired)[-1]
    assert plan(last, desired).steps == ()
    if desired is None:
        assert last == LioState(NAME)
        return
    assert all(difference.step is None for difference in differences(last, desired))
    if not View(observed, desired).held:
        event("nobody is logged in")
        assert last == finished(desired)
    elif last != finished(desired, last.sessions):
        event("something is held")
        assert plan(observed, desired).left
    assert last.acls.keys() <= desired.grant_of.keys()
    out = plan(observed, desired)
    for initiator, grant in desired.grant_of.items():
        pair, accesses = CREDENTIALS[initiator], _accesses(last)
        if grant.mode is not None and initiator not in out.withheld:
            behind = _behind(last, NAME)
            assert (initiator, pair, 0, NAME, behind, False) in accesses
        missing = out.withheld | out.without_readers_disk
        if grant.readers_disk and initiator not in missing:
            behind = _behind(last, READERS)
            assert (initiator, pair, 1, READERS, behind, False) in accesses


@thoroughly
@given(states(), desires, st.data())
def test_plan_goes_on_after_a_crash_anywhere(observed, desired, data):
    walk = _walk(observed, desired)
    crash = data.draw(st.integers(0, len(walk) - 1))
    assert _walk(walk[crash], desired) == walk[crash:]
    initiators = data.draw(st.sets(st.sampled_from(HOSTS)))
    moved = with_sessions(walk[crash], initiators)
    last = _walk(moved, desired)[-1]
    assert plan(last, desired).steps == ()
    quiet = _walk(with_sessions(last, set()), desired)[-1]
    assert quiet == (finished(desired) if desired else LioState(NAME))


@given(exports(), exports())
def test_plan_from_one_desired_state_to_another_touches_only_what_changes(
    present, desired
):
    taken = plan(finished(present), desired).steps
    assert {type(step).__name__ for step in taken} <= {
        *("RemoveAcl", "CreateAcl", "SetCredentials", "MapLun", "SetWriteProtect"),
        *("AddPortal", "RemovePortal", "UnmapLun", "SetRefused", "SetDiscard"),
        *("CreateReaders", "RemoveReaders", "AddLun", "RemoveLun"),
    }
    assert not {steps.AddLun(0), steps.RemoveLun(0)} & {*taken}


def _export(*grants):
    return Export(NAME, DEVICE, SERIAL, frozenset(PORTALS[:1]), frozenset(grants))


def _grant(initiator, mode=Mode.RW):
    return Grant(initiator, CREDENTIALS[initiator], mode)


def test_further_host_costs_three_steps_and_its_detach_one():
    alone, both = _export(_grant(A)), _export(_grant(A), _grant(B))
    assert plan(finished(alone), both).steps == (
        steps.CreateAcl(B),
        steps.SetCredentials(B, CREDENTIALS[B]),
        steps.MapLun(B, write_protect=False),
    )
    assert plan(finished(both, {A, B}), alone).steps == (steps.RemoveAcl(B),)


def test_the_first_reader_makes_the_readers_disk_and_the_last_one_takes_it_along():
    writer, reader = _grant(A), Grant(B, CREDENTIALS[B], None, readers_disk=True)
    alone, both = _export(writer), _export(writer, reader)
    assert plan(finished(alone), both).steps == (
        disk_steps.CreateReaders(DEVICE, readers_serial(SERIAL)),
        steps.AddLun(1),
        steps.CreateAcl(B),
        steps.SetCredentials(B, CREDENTIALS[B]),
        steps.MapLun(B, write_protect=True, index=1),
    )
    assert plan(finished(both, {A, B}), alone).steps == (
        steps.RemoveAcl(B),
        steps.RemoveLun(1),
        disk_steps.RemoveReaders(),
    )


def test_main_disk_refuses_what_passes_a_write_protection_while_a_host_has_one():
    alone, both = _export(_grant(A)), _export(_grant(A), _grant(B, Mode.RO))
    *refuse, create, _, show = plan(finished(alone), both).steps
    assert refuse == [
        disk_steps.SetRefused(name, refused=True) for name in sorted(PASSABLE)
    ]
    assert (create, show) == (steps.CreateAcl(B), steps.MapLun(B, write_protect=True))
    _, *again = plan(finished(both), alone).steps
    assert again == [
        disk_steps.SetRefused(name, refused=False) for name in sorted(PASSABLE)
    ]


def test_a_device_that_cannot_discard_is_left_in_peace():
    desired = replace(_export(_grant(A)), discard=True)
    found = finished(_export(_grant(A)))
    assert plan(found, desired).steps == (disk_steps.SetDiscard(discard=True),)
    cannot = replace(found.backstore, can_discard=False)
    assert plan(replace(found, backstore=cannot), desired).steps == ()


def test_taken_over_volume_keeps_its_serial_while_a_host_is_logged_in():
    desired = _export(_grant(A))
    taken = finished(Export(NAME, DEVICE, "in-tree", desired.portals, desired.grants))
    assert plan(with_sessions(taken, {A}), desired).steps == ()
    wider = _export(_grant(A), _grant(B))
    assert len(plan(with_sessions(taken, {A}), wider).steps) == 3
    assert _walk(taken, desired)[-1] == finished(desired)


def test_wrong_credentials_of_a_live_host_are_replaced_in_place():
    desired = _export(_grant(A))
    found = finished(_export(Grant(A, WRONG, Mode.RW)), {A})
    assert plan(found, desired).steps == (steps.SetCredentials(A, CREDENTIALS[A]),)


def test_portal_of_a_live_host_is_kept_when_the_configuration_changes():
    before = Export(NAME, DEVICE, SERIAL, frozenset({ANYWHERE}), frozenset({_grant(A)}))
    desired = _export(_grant(A))
    assert plan(finished(before, {A}), desired).steps == ()
    assert plan(finished(before), desired).steps == (
        steps.RemovePortal(ANYWHERE),
        steps.AddPortal(PORTALS[0]),
    )


def test_plan_for_another_target_is_refused():
    with pytest.raises(ValueError, match="volume-1"):
        plan(LioState("iqn.2010-10.org.openstack:volume-9"), _export())


@thoroughly
@given(states(), exports(), st.frozensets(st.sampled_from(HOSTS)))
def test_personal_steps_does_for_some_what_a_plan_does_and_touches_nobody_else(
    observed, desired, about
):
    taken = personal(observed, desired, about)
    event("taken" if taken is not None else "left to a plan")
    if taken is None:
        return
    end = functools.reduce(after, taken, observed)
    for initiator in HOSTS:
        if initiator not in about:
            assert end.acls.get(initiator) == observed.acls.get(initiator)
    # What is left is about the others.
    assert all(
        difference.initiator is not None and difference.initiator not in about
        for difference in differences(end.only(about), desired.only(about))
    )
    assert end.sessions >= observed.sessions & desired.grant_of.keys()
    assert replace(end, target=None) == replace(observed, target=None)
    assert {**end.luns} == {**observed.luns}


@thoroughly
@given(exports(), exports(), st.frozensets(st.sampled_from(HOSTS)))
def test_personal_steps_of_a_sound_export_is_the_whole_plan(before, now, sessions):
    now = replace(now, portals=before.portals)
    changed = {grant.initiator for grant in before.grants ^ now.grants}
    observed = finished(before, sessions)
    whole = plan(observed, now).steps
    shared = any(not isinstance(step, steps.PersonalStep) for step in whole)
    assert personal(observed, now, changed) == (None if shared else whole)


def _shared(*shown):
    """An export for these hosts: each writes, or has the readers' disk."""
    grants = (
        Grant(host, CREDENTIALS[host], Mode.RW)
        if writes
        else Grant(host, CREDENTIALS[host], None, readers_disk=True)
        for host, writes in shown
    )
    return Export(NAME, DEVICE, SERIAL, frozenset(PORTALS), frozenset(grants))


def test_nobody_is_let_in_to_another_device_that_a_live_host_has():
    observed = finished(_shared((A, True)), {A})
    other = replace(observed.backstore, device="/dev/vg/other")
    made = plan(replace(observed, backstore=other), _shared((A, True), (B, True)))
    assert made.steps == ()
    assert made.withheld == {A, B}
    assert made.without_readers_disk == set()
    assert plan(observed, _shared((A, True))).withheld == set()
    assert plan(observed, None).withheld == set()


@pytest.mark.parametrize(
    ("mapped", "is_live", "taken"),
    [
        ({}, False, ()),
        ({0: MappedLunState(0, False)}, False, (steps.UnmapLun(B, 0),)),
        ({0: MappedLunState(0, True)}, True, ()),
        ({0: MappedLunState(None, True)}, True, (steps.UnmapLun(B, 0),)),
    ],
)
def test_host_with_an_acl_is_shown_no_other_device(mapped, is_live, taken):
    desired = _shared((A, True), (B, True))
    observed = finished(desired, {A, B} if is_live else {A})
    acls = {**observed.acls, B: replace(observed.acls[B], mapped=mapped)}
    target = replace(observed.target, tpg=replace(observed.tpg, acls=acls))
    other = replace(observed.backstore, device="/dev/vg/other")
    made = plan(replace(observed, target=target, backstore=other), desired)
    assert made.steps == taken


def test_main_disk_is_given_where_the_readers_one_cannot_be():
    observed = finished(_shared((A, False)), {A})
    other = replace(observed.readers, device="/dev/vg/other")
    desired = _shared((A, False), (C, True))
    grants = desired.grants | {Grant(B, CREDENTIALS[B], Mode.RW, readers_disk=True)}
    made = plan(replace(observed, readers=other), replace(desired, grants=grants))
    assert made.without_readers_disk == {B}
    assert made.withheld == {A}
    assert steps.CreateAcl(B) in made.steps
    assert steps.CreateAcl(C) in made.steps


@pytest.mark.parametrize("is_live", [False, True])
def test_main_disk_is_kept_to_read_until_its_host_logs_out(is_live):
    """Without a LUN 0 it would read what the node's memory has by chance."""
    wrote, reads = _shared((A, True), (B, True)), _shared((A, False), (B, True))
    made = plan(finished(wrote, {A} if is_live else set()), reads)
    held = {0: MappedLunState(0, write_protect=True)} if is_live else {}
    readers = {1: MappedLunState(1, write_protect=True)}
    assert made.end.acls[A].mapped == {**held, **readers}
    assert made.end.acls[B].mapped == {0: MappedLunState(0, write_protect=False)}
    assert made.left == ()
    # It has logged out.
    then = plan(with_sessions(made.end, set()), reads)
    assert then.end == finished(reads)


def test_host_without_the_main_disk_is_given_none_to_keep():
    desired = _shared((A, False), (B, True))
    assert plan(finished(desired, {A, B}), desired).steps == ()


def test_lun_that_leads_nowhere_is_made_anew_under_a_live_host():
    desired = _shared((A, True))
    right = finished(desired, {A})
    target = replace(right.target, tpg=replace(right.tpg, luns={0: None}))
    assert plan(replace(right, target=target), desired).end == right


def test_serial_of_the_readers_disk_stays_what_it_was():
    """Hosts know the disk by it."""
    assert readers_serial(SERIAL) == "897d3546-a485-5497-b91e-464e0cb3a59d"
