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
import enum
from collections.abc import Iterator

from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    Initiator,
    Mode,
    Sealed,
)
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    CHANGING,
    LUN,
    PASSABLE,
    AclState,
    LioState,
)
from taikun_cinder.targets.lio.view import Disk, View


class Kind(enum.StrEnum):
    """The kinds of differences, each with what follows from it."""

    means: str

    def __new__(cls, name: str, means: str) -> "Kind":
        """Keep the name as the value, and its meaning beside it."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.means = means
        return kind

    ATTRIBUTE = "attribute", "hosts may get in without proving who they are"
    OTHER_TPG = "other-tpg", "hosts may get in past this volume's attachments"
    FOREIGN_ACL = (
        "foreign-acl",
        "this host can reach the volume, and no attachment says so",
    )
    CREDENTIALS = (
        "credentials",
        "the host cannot log in again, and who knows the other credentials may",
    )
    MAPPED_LUN = (
        "mapped-lun",
        "the host does not see the volume's disks as it should, and no others",
    )
    PASSABLE = (
        "passable",
        "a host that may only read can write by a crafted command",
    )
    REFUSED = "refused", "hosts miss a command that nobody needs to be kept from"
    DISCARD = "discard", "hosts cannot discard, or can, and should not"
    READERS_DISK = (
        "readers-disk",
        "hosts that may only read have no disk, or another one than they should",
    )
    WRITABLE = "writable", "the host can write, though it is attached read-only"
    READ_ONLY = "read-only", "the host cannot write, though it is attached for writing"
    LUN = "lun", "hosts do not see this volume's device, or see another one"
    DEVICE = "device", "hosts see another device than this volume's"
    SERIAL = "serial", "hosts do not recognise the volume as the device that it was"
    BACKSTORE = "backstore", "no host can reach the volume"
    TARGET = "target", "no host can reach the volume"
    TPG = "tpg", "no host can log in"
    DISABLED = "disabled", "no host can log in"
    EXTRA_PORTAL = (
        "extra-portal",
        "the target listens where the configuration does not say so",
    )
    PORTAL = "portal", "hosts that are told this address cannot connect to it"
    ACL = "acl", "the host cannot log in, though it has an attachment"
    UNWANTED = "unwanted", "the volume has no attachment, and its device is kept open"


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference. There is no secret in it but in its step, whose repr has none.

    Attributes:
        kind: what it is about.
        found: what is, in words.
        wanted: what should be, in words.
        step: what to do against it first; None if nothing may be done while hosts
            are logged in, or before something else is put right.
        initiator: whose access it is about, if it is about one's.
    """

    kind: Kind
    found: str
    wanted: str
    step: steps.Step | None
    initiator: Initiator | None = None


def differences(observed: LioState, desired: Export | None) -> Iterator[Difference]:
    """Give all differences, in the order in which they are to be put right."""
    if desired is None:
        yield from _unwanted(observed)
        return
    desired = _servable(observed, desired)
    view = View(observed, desired)
    yield from _logins(view)
    yield from _passable(view)
    for initiator in view.kept:
        yield from _too_much(view, initiator, desired.grant_of[initiator])
    yield from _wrong(view)
    yield from _missing(view)
    for initiator, grant in sorted(desired.grant_of.items()):
        yield from _too_little(view, observed.acls.get(initiator), grant)
    yield from _commands(view)
    if observed.tpg is not None and not observed.tpg.enabled:
        yield Difference(Kind.DISABLED, "disabled", "enabled", steps.EnableTpg())


def _servable(observed: LioState, desired: Export) -> Export:
    """Leave out grants whose password nobody knows, and whose host's ACL is another."""
    kept = frozenset(
        grant
        for grant in desired.grants
        if grant.credentials.known
        or observed.acls.get(grant.initiator, AclState()).credentials
        == grant.credentials
    )
    return (
        desired if kept == desired.grants else dataclasses.replace(desired, grants=kept)
    )


def _foreign(initiator: Initiator) -> Difference:
    remove = steps.RemoveAcl(initiator)
    return Difference(Kind.FOREIGN_ACL, "an ACL", "none", remove, initiator)


def _unwanted(observed: LioState) -> Iterator[Difference]:
    for initiator in sorted(observed.acls):
        yield Difference(
            Kind.FOREIGN_ACL, "an ACL", "none", steps.RemoveAcl(initiator), initiator
        )
    if observed.target is not None:
        yield Difference(Kind.UNWANTED, "a target", "none", steps.RemoveTarget())
    if observed.backstore is not None:
        yield Difference(Kind.UNWANTED, "a backstore", "none", steps.RemoveBackstore())
    if observed.readers is not None:
        found, remove = "a backstore for readers", steps.RemoveReaders()
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
    for initiator in sorted(view.observed.acls.keys() - view.kept.keys()):
        yield Difference(
            Kind.FOREIGN_ACL, "an ACL", "none", steps.RemoveAcl(initiator), initiator
        )


def _passable(view: View) -> Iterator[Difference]:
    """The commands that would pass the write protection of a host."""
    main, readers = view.main.state, view.readers.state
    if view.desired.has_protected_host and main and main.active:
        for name in sorted(PASSABLE - main.refuses):
            refuse = steps.SetRefused(name, refused=True)
            yield Difference(Kind.PASSABLE, f"{name} not 0", f"{name}=0", refuse)
    if readers and readers.active and readers.refuses != CHANGING:
        names = ", ".join(sorted(CHANGING - readers.refuses))
        found, wanted = f"{names} not 0 for readers", "0"
        yield Difference(Kind.PASSABLE, found, wanted, steps.HardenReaders())


def _too_much(view: View, initiator: Initiator, grant: Grant) -> Iterator[Difference]:
    """The access that a host which stays has and must not have.

    Credentials come last: they may give an ACL back to its host, and by then it leads
    nowhere it should not.
    """
    acl, shown = view.kept[initiator], view.shown(initiator)
    for index in sorted(acl.mapped.keys() - {disk.lun for disk in shown}):
        unmap = steps.UnmapLun(initiator, index)
        yield Difference(Kind.MAPPED_LUN, f"LUN {index}", "none", unmap, initiator)
    for disk in shown:
        yield from _too_much_of(view, initiator, acl, disk, grant)
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


def _wrong(view: View) -> Iterator[Difference]:
    """The parts that lead elsewhere; they are removed unless they are held."""
    for index, name in sorted(view.observed.luns.items()):
        disk = view.disks.get(index)
        if disk is None or name != disk.backstore:
            found = f"LUN {index} leads to {name or 'nothing'}"
            wanted = "none" if disk is None else f"one that leads to {disk.backstore}"
            lun_step = None if index in view.held_luns else _away(view, index)
            yield Difference(Kind.LUN, found, wanted, lun_step)
    yield from _wrong_main(view)
    yield from _wrong_readers(view)
    for portal in view.extra_portals:
        portal_step = None if view.held else steps.RemovePortal(portal)
        yield Difference(Kind.EXTRA_PORTAL, str(portal), "none", portal_step)


def _wrong_main(view: View) -> Iterator[Difference]:
    disk, device = view.main, view.desired.device
    if disk.state is None:
        return
    step = _without(view, disk, steps.RemoveBackstore())
    if not disk.state.active:
        yield Difference(Kind.BACKSTORE, "half-built", "active", step)
    elif disk.state.device != device:
        yield Difference(Kind.DEVICE, disk.state.device, device, step)
    elif disk.state.serial != disk.serial:
        found = disk.state.serial or "none"
        yield Difference(Kind.SERIAL, found, disk.serial, step)


def _wrong_readers(view: View) -> Iterator[Difference]:
    disk, device, kind = view.readers, view.desired.device, Kind.READERS_DISK
    if disk.state is None:
        return
    step = _without(view, disk, steps.RemoveReaders())
    if disk.lun not in view.disks:
        yield Difference(kind, "one", "none, as no host sees it", step)
    elif not disk.state.active:
        yield Difference(kind, "half-built", "active", step)
    elif disk.state.device != device:
        yield Difference(kind, disk.state.device, device, step)
    elif disk.state.serial != disk.serial:
        yield Difference(kind, disk.state.serial or "no serial", disk.serial, step)


def _without(view: View, disk: Disk, remove: steps.Step) -> steps.Step | None:
    """Give the first step that removes a disk's backstore; None if it is held."""
    if view.is_held(disk):
        return None
    for index, name in sorted(view.observed.luns.items()):
        if name == disk.backstore:
            return _away(view, index)
    return remove


def _away(view: View, index: int) -> steps.Step:
    """Give the first of the steps that remove a LUN."""
    for initiator, acl in view.kept.items():
        for shown_as, mapped_lun in sorted(acl.mapped.items()):
            if mapped_lun.lun == index:
                return steps.UnmapLun(initiator, shown_as)
    return steps.RemoveLun(index)


def _missing(view: View) -> Iterator[Difference]:
    observed, desired = view.observed, view.desired
    if observed.backstore is None:
        make = steps.CreateBackstore(desired.device, desired.serial)
        yield Difference(Kind.BACKSTORE, "none", desired.device, make)
    if observed.target is None:
        yield Difference(Kind.TARGET, "none", "a target", steps.CreateTarget())
    elif observed.tpg is None:
        yield Difference(Kind.TPG, "none", "a TPG", steps.CreateTpg())
    else:
        yield from _missing_lun(view, view.main, Kind.LUN)
        for portal in view.missing_portals:
            blocked = any(portal.clashes(there) for there in observed.tpg.portals)
            listen = None if blocked else steps.AddPortal(portal)
            yield Difference(Kind.PORTAL, "none", str(portal), listen)
    if desired.has_readers_disk:
        yield from _missing_readers(view)


def _missing_readers(view: View) -> Iterator[Difference]:
    disk, kind = view.readers, Kind.READERS_DISK
    if disk.state is None:
        make = steps.CreateReaders(view.desired.device, disk.serial)
        yield Difference(kind, "none", view.desired.device, make)
    if view.observed.tpg is not None:
        yield from _missing_lun(view, disk, kind)


def _missing_lun(view: View, disk: Disk, kind: Kind) -> Iterator[Difference]:
    if disk.lun not in view.observed.luns:
        wanted = f"LUN {disk.lun}, to {disk.backstore}"
        yield Difference(kind, "none", wanted, steps.AddLun(disk.lun))


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


def _commands(view: View) -> Iterator[Difference]:
    """The commands of the main disk that hosts should have, or should not."""
    main, desired = view.main.state, view.desired
    if main is None or not main.active:
        return
    for name in () if desired.has_protected_host else sorted(main.refuses):
        allow = steps.SetRefused(name, refused=False)
        yield Difference(Kind.REFUSED, f"{name}=0", "not 0", allow)
    if main.discard != desired.discard and (main.can_discard or main.discard):
        found, wanted = f"discard={main.discard}", f"discard={desired.discard}"
        step = steps.SetDiscard(desired.discard)
        yield Difference(Kind.DISCARD, found, wanted, step)
