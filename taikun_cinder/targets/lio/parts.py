# SPDX-License-Identifier: Apache-2.0
"""The differences of what all hosts stand on: backstores, LUNs and portals.

``differences`` has their order among all others.
"""

from collections.abc import Iterator

from taikun_cinder.targets.lio import disk_steps, steps
from taikun_cinder.targets.lio.kinds import Difference, Kind
from taikun_cinder.targets.lio.states import CHANGING, PASSABLE
from taikun_cinder.targets.lio.view import Disk, View


def passable(view: View) -> Iterator[Difference]:
    """The commands that would pass the write protection of a host."""
    main, readers = view.main.state, view.readers.state
    if view.desired.has_protected_host and main and main.active:
        for name in sorted(PASSABLE - main.refuses):
            refuse = disk_steps.SetRefused(name, refused=True)
            yield Difference(Kind.PASSABLE, f"{name} not 0", f"{name}=0", refuse)
    if readers and readers.active and readers.refuses != CHANGING:
        names = ", ".join(sorted(CHANGING - readers.refuses))
        found, wanted = f"{names} not 0 for readers", "0"
        yield Difference(Kind.PASSABLE, found, wanted, disk_steps.HardenReaders())


def wrong(view: View) -> Iterator[Difference]:
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
    step = _without(view, disk, disk_steps.RemoveBackstore())
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
    step = _without(view, disk, disk_steps.RemoveReaders())
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


def missing(view: View) -> Iterator[Difference]:
    """The parts that there should be and are not."""
    observed, desired = view.observed, view.desired
    if observed.backstore is None:
        make = disk_steps.CreateBackstore(desired.device, desired.serial)
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
        make = disk_steps.CreateReaders(view.desired.device, disk.serial)
        yield Difference(kind, "none", view.desired.device, make)
    if view.observed.tpg is not None:
        yield from _missing_lun(view, disk, kind)


def _missing_lun(view: View, disk: Disk, kind: Kind) -> Iterator[Difference]:
    if disk.lun not in view.observed.luns:
        wanted = f"LUN {disk.lun}, to {disk.backstore}"
        yield Difference(kind, "none", wanted, steps.AddLun(disk.lun))


def commands(view: View) -> Iterator[Difference]:
    """The commands of the main disk that hosts should have, or should not."""
    main, desired = view.main.state, view.desired
    if main is None or not main.active:
        return
    for name in () if desired.has_protected_host else sorted(main.refuses):
        allow = disk_steps.SetRefused(name, refused=False)
        yield Difference(Kind.REFUSED, f"{name}=0", "not 0", allow)
    if main.discard != desired.discard and (main.can_discard or main.discard):
        found, wanted = f"discard={main.discard}", f"discard={desired.discard}"
        step = disk_steps.SetDiscard(desired.discard)
        yield Difference(Kind.DISCARD, found, wanted, step)
