# SPDX-License-Identifier: Apache-2.0
"""Every difference between what is and what should be, and the step against each.

``plan`` takes the first step again and again until there is none, and ``audit`` puts
all differences into words. So the order here is the order of the steps, and it is what
keeps every state on the way safe:

1. access without a grant is taken away: logins without authentication, other TPGs,
   ACLs without a grant, commands that pass a write protection, credentials, disks,
   write protection;
2. what is wrong and not held is taken away (see ``view`` for *held*);
3. what is missing is made, from the device up to the LUN, the main disk first;
4. access: an ACL, its credentials, its LUN, and only then, what a host may do more
   than before;
5. last, a TPG that is disabled is enabled: by now everything in it is right.
"""

import dataclasses
from collections.abc import Iterator

from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    Initiator,
    Mode,
    Sealed,
)
from taikun_cinder.targets.lio import disk_steps, parts, steps
from taikun_cinder.targets.lio.kinds import Difference, Kind
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    LUN,
    AclState,
    LioState,
)
from taikun_cinder.targets.lio.view import Disk, View


def differences(observed: LioState, desired: Export | None) -> Iterator[Difference]:
    """Give all differences, in the order in which they are to be put right."""
    if desired is None:
        yield from _unwanted(observed)
        return
    desired = _with_held_disks(observed, _servable(observed, desired))
    view = View(observed, desired)
    yield from _logins(view)
    yield from parts.passable(view)
    for initiator in view.kept:
        yield from _too_much(view, initiator, desired.grant_of[initiator])
    for initiator in view.kept:
        yield from _other_login(view, initiator, desired.grant_of[initiator])
    yield from parts.wrong(view)
    yield from parts.missing(view)
    for initiator, grant in sorted(desired.grant_of.items()):
        yield from _too_little(view, observed.acls.get(initiator), grant)
    yield from parts.commands(view)
    if observed.tpg is not None and not observed.tpg.enabled:
        yield Difference(Kind.DISABLED, "disabled", "enabled", steps.EnableTpg())


def _servable(observed: LioState, desired: Export) -> Export:
    """Leave out grants whose password nobody knows, and whose host's ACL is another."""
    left_out = {
        grant
        for grant in desired.grants
        if not grant.credentials.known
        if observed.acls.get(grant.initiator, AclState()).credentials
        != grant.credentials
    }
    if not left_out:
        return desired
    return dataclasses.replace(desired, grants=desired.grants - left_out)


def _with_held_disks(observed: LioState, desired: Export) -> Export:
    """Leave hosts that are logged in the main disk to read, where they may read at all.

    Such a host is to see the readers' disk only. From a LUN 0 that is not there any
    more it would read what the node's memory has by chance (``changes._end_session``
    says why), and its session cannot be ended: the readers' disk is in it.
    """
    view = View(observed, desired)
    held = {
        grant: dataclasses.replace(grant, mode=Mode.RO)
        for grant in desired.grants
        if grant.mode is None and (acl := observed.acls.get(grant.initiator))
        if acl.session and (mapped := acl.mapped.get(LUN))
        if view.is_right(view.main, mapped)
    }
    if not held:
        return desired
    grants = frozenset(held.get(grant, grant) for grant in desired.grants)
    return dataclasses.replace(desired, grants=grants)


def _foreign(initiator: Initiator) -> Difference:
    remove = steps.RemoveAcl(initiator)
    return Difference(Kind.FOREIGN_ACL, "an ACL", "none", remove, initiator)


def _unwanted(observed: LioState) -> Iterator[Difference]:
    yield from map(_foreign, sorted(observed.acls))
    if observed.target is not None:
        yield Difference(Kind.UNWANTED, "a target", "none", steps.RemoveTarget())
    if observed.backstore is not None:
        yield Difference(
            Kind.UNWANTED, "a backstore", "none", disk_steps.RemoveBackstore()
        )
    if observed.readers is not None:
        found, remove = "a backstore for readers", disk_steps.RemoveReaders()
        yield Difference(Kind.UNWANTED, found, "none", remove)


def _logins(view: View) -> Iterator[Difference]:
    target, tpg = view.observed.target, view.observed.tpg
    for name, value in ATTRIBUTES.items() if tpg else ():
        found = tpg.attributes.get(name) if tpg else None
        if found != value:
            step = steps.SetAttribute(name, value)
            yield Difference(Kind.ATTRIBUTE, f"{name}={found}", f"{name}={value}", step)
    for tag in sorted(target.other_tpgs) if target else ():
        yield Difference(Kind.OTHER_TPG, f"TPG {tag}", "none", steps.RemoveTpg(tag))
    yield from map(_foreign, sorted(view.observed.acls.keys() - view.kept.keys()))


def _too_much(view: View, initiator: Initiator, grant: Grant) -> Iterator[Difference]:
    """The access that a host which stays has and must not have."""
    acl, shown = view.kept[initiator], view.shown(initiator)
    for index in sorted(acl.mapped.keys() - {disk.lun for disk in shown}):
        unmap = steps.UnmapLun(initiator, index)
        yield Difference(Kind.MAPPED_LUN, f"LUN {index}", "none", unmap, initiator)
    for disk in shown:
        yield from _too_much_of(view, initiator, acl, disk, grant)


def _other_login(
    view: View, initiator: Initiator, grant: Grant
) -> Iterator[Difference]:
    """The credentials that a host which stays has and must not have.

    They come behind all else that hosts must not have: they may give an ACL back to its
    host, and by then none leads where it should not.
    """
    acl = view.kept[initiator]
    if acl.credentials != grant.credentials:
        found, own = _worded(acl.credentials, grant.credentials), "its attachment's"
        put = steps.SetCredentials(initiator, grant.credentials)
        yield Difference(Kind.CREDENTIALS, found, own, put, initiator)


def _too_much_of(
    view: View, initiator: Initiator, acl: AclState, disk: Disk, grant: Grant
) -> Iterator[Difference]:
    index = disk.lun
    mapped_lun = acl.mapped.get(index)
    if mapped_lun is None:
        return
    if not view.is_right(disk, mapped_lun):
        held = acl.session and mapped_lun.lun in view.held_luns
        away = None if held else steps.UnmapLun(initiator, index)
        wanted = f"one that leads to the volume's device by the TPG's LUN {index}"
        yield Difference(Kind.MAPPED_LUN, "one that does not", wanted, away, initiator)
    if _is_protected(disk, grant) and not mapped_lun.write_protect:
        protect = steps.SetWriteProtect(initiator, write_protect=True, index=index)
        found = "read and write"
        yield Difference(Kind.WRITABLE, found, "read only", protect, initiator)


def _is_protected(disk: Disk, grant: Grant) -> bool:
    return disk.lun != LUN or grant.mode is not Mode.RW


def _worded(found: Credentials | Sealed | None, wanted: Credentials) -> str:
    if found is None:
        return "none"
    part = "username" if found.username != wanted.username else "password"
    return f"another {part}"


def _too_little(view: View, acl: AclState | None, grant: Grant) -> Iterator[Difference]:
    """The access that a host is granted and does not have.

    No host is given another device than this volume's, even if it cannot be put right
    now because another host has it as its disk.
    """
    shown = view.shown(grant.initiator)
    if acl is not None:
        for disk in shown:
            yield from _too_little_of(view, acl, disk, grant)
        return
    sound = any(view.is_sound(disk) for disk in shown)
    step = steps.CreateAcl(grant.initiator) if sound else None
    wanted = f"an ACL, {grant.words}"
    yield Difference(Kind.ACL, "none", wanted, step, grant.initiator)


def _too_little_of(
    view: View, acl: AclState, disk: Disk, grant: Grant
) -> Iterator[Difference]:
    initiator, protect = grant.initiator, _is_protected(disk, grant)
    mapped_lun = acl.mapped.get(disk.lun)
    possible: steps.Step | None
    if mapped_lun is None:
        kind = Kind.MAPPED_LUN if disk.lun == LUN else Kind.READERS_DISK
        show = steps.MapLun(initiator, protect, disk.lun)
        possible = show if view.is_sound(disk) else None
        yield Difference(kind, "none", f"LUN {disk.lun}", possible, initiator)
    elif mapped_lun.write_protect and not protect:
        allow = steps.SetWriteProtect(initiator, write_protect=False, index=disk.lun)
        possible = allow if view.is_right(disk, mapped_lun) else None
        found, wanted = "read only", "read and write"
        yield Difference(Kind.READ_ONLY, found, wanted, possible, initiator)
