# SPDX-License-Identifier: Apache-2.0
"""Every difference between what is and what should be, and the step against each.

``plan`` takes the first step again and again until there is none, and ``audit`` puts
all differences into words. So the order here is the order of the steps, and it is what
keeps every state on the way safe:

1. access without a grant is taken away: logins without authentication, other TPGs,
   ACLs without a grant, credentials, write protection;
2. what is wrong and not held is taken away (see ``view`` for *held*);
3. what is missing is made, from the device up to the LUN;
4. access: an ACL, its credentials, its LUN, and only then, what a host may do more
   than before;
5. last, a TPG that is disabled is enabled: by now everything in it is right.
"""

import dataclasses
import enum
from collections.abc import Iterator

from taikun_cinder.access.model import Credentials, Export, Grant, Initiator, Sealed
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    LUN,
    AclState,
    LioState,
)
from taikun_cinder.targets.lio.view import View


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
        "the host does not see the volume as its LUN 0, and only there",
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
    for initiator in view.kept:
        yield from _too_much(view, initiator, desired.grant_of[initiator])
    yield from _wrong(view)
    yield from _missing(view)
    for initiator, grant in sorted(desired.grant_of.items()):
        yield from _too_little(view, observed.acls.get(initiator), grant)
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


def _too_much(view: View, initiator: Initiator, grant: Grant) -> Iterator[Difference]:
    """The access that a host which stays has and must not have.

    Credentials come last: they may give an ACL back to its host, and by then it leads
    nowhere it should not.
    """
    acl = view.kept[initiator]
    for index in sorted(acl.mapped.keys() - {LUN}):
        found, unmap = f"LUN {index}", steps.UnmapLun(initiator, index)
        yield Difference(Kind.MAPPED_LUN, found, "LUN 0 only", unmap, initiator)
    mapped_lun = acl.mapped.get(LUN)
    if mapped_lun is not None and not (
        mapped_lun.lun == LUN and view.leads_home(mapped_lun)
    ):
        held = acl.session and mapped_lun.lun in view.held_luns
        away = None if held else steps.UnmapLun(initiator, LUN)
        wanted = "one that leads to the volume's device by the TPG's LUN 0"
        yield Difference(Kind.MAPPED_LUN, "one that does not", wanted, away, initiator)
    if (
        mapped_lun is not None
        and grant.mode.write_protect
        and not mapped_lun.write_protect
    ):
        protect = steps.SetWriteProtect(initiator, write_protect=True)
        yield Difference(
            Kind.WRITABLE, "read and write", "read only", protect, initiator
        )
    if acl.credentials != grant.credentials:
        found, own = _worded(acl.credentials, grant.credentials), "its attachment's"
        put = steps.SetCredentials(initiator, grant.credentials)
        yield Difference(Kind.CREDENTIALS, found, own, put, initiator)


def _worded(found: Credentials | Sealed | None, wanted: Credentials) -> str:
    if found is None:
        return "none"
    part = "username" if found.username != wanted.username else "password"
    return f"another {part}"


def _wrong(view: View) -> Iterator[Difference]:
    """The parts that lead elsewhere; they are removed unless they are held."""
    for index, name in sorted(view.observed.luns.items()):
        if index != LUN or name != view.backstore:
            found = f"LUN {index} leads to {name or 'nothing'}"
            wanted = f"only LUN {LUN}, to {view.backstore}"
            lun_step = None if index in view.held_luns else _away(view, index)
            yield Difference(Kind.LUN, found, wanted, lun_step)
    yield from _wrong_backstore(view)
    for portal in view.extra_portals:
        portal_step = None if view.held else steps.RemovePortal(portal)
        yield Difference(Kind.EXTRA_PORTAL, str(portal), "none", portal_step)


def _wrong_backstore(view: View) -> Iterator[Difference]:
    backstore, desired = view.observed.backstore, view.desired
    if backstore is None:
        return
    step = None if view.held_backstore else _without_backstore(view)
    if not backstore.active:
        yield Difference(Kind.BACKSTORE, "half-built", "active", step)
    elif backstore.device != desired.device:
        yield Difference(Kind.DEVICE, backstore.device, desired.device, step)
    elif backstore.serial != desired.serial:
        yield Difference(Kind.SERIAL, backstore.serial or "none", desired.serial, step)


def _without_backstore(view: View) -> steps.Step:
    for index, name in sorted(view.observed.luns.items()):
        if name == view.backstore:
            return _away(view, index)
    return steps.RemoveBackstore()


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
        if LUN not in observed.luns:
            wanted = f"LUN {LUN}, to {view.backstore}"
            yield Difference(Kind.LUN, "none", wanted, steps.AddLun())
        for portal in view.missing_portals:
            blocked = any(portal.clashes(there) for there in observed.tpg.portals)
            listen = None if blocked else steps.AddPortal(portal)
            yield Difference(Kind.PORTAL, "none", str(portal), listen)


def _too_little(view: View, acl: AclState | None, grant: Grant) -> Iterator[Difference]:
    """The access that a host is granted and does not have."""
    initiator, protect = grant.initiator, grant.mode.write_protect
    mapped_lun = None if acl is None else acl.mapped.get(LUN)
    step: steps.Step
    if acl is None:
        step = steps.CreateAcl(initiator)
        kind, found, wanted = Kind.ACL, "none", f"an ACL, {grant.mode.value}"
    elif mapped_lun is None:
        step = steps.MapLun(initiator, protect)
        kind, found, wanted = Kind.MAPPED_LUN, "none", f"LUN {LUN}"
    elif mapped_lun.write_protect and not protect:
        step = steps.SetWriteProtect(initiator, write_protect=False)
        kind, found, wanted = Kind.READ_ONLY, "read only", "read and write"
    else:
        return
    # No host is given another device than this volume's, even if it cannot be put
    # right now because another host has it as its disk.
    possible = view.sound if mapped_lun is None else view.leads_home(mapped_lun)
    yield Difference(kind, found, wanted, step if possible else None, initiator)
