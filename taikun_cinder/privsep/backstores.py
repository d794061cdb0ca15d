# SPDX-License-Identifier: Apache-2.0
"""Block backstores: the devices behind the LUNs.

LIO wants an HBA around each, a folder ``core/iblock_INDEX``. rtslib takes the first
index that is free, which takes a walk over all of them; here the index follows from
the name, and only a backstore that is not where it should be is searched for.
"""

import errno
import hashlib
from collections.abc import Collection, Iterator, Mapping
from os import path

from taikun_cinder.privsep import checks, files, modules, ours, reservations, turns

ROOT = "/sys/kernel/config/target"
CORE = f"{ROOT}/core"
ISCSI = f"{ROOT}/iscsi"

_KIND = "iblock_"

_UNMAP = "emulate_tpu"


def place(name: str, kind: str = _KIND) -> str:
    """Give the folder of a backstore that we make."""
    # The kernel takes 32 bits (target_core_call_addhbatotarget() in
    # target_core_configfs.c). rtslib stays below 2**20 by itself, so we do above.
    digest = hashlib.sha256(name.encode()).digest()
    index = int.from_bytes(digest[:4]) | 1 << 31
    return f"{CORE}/{kind}{index}/{name}"


def is_block(folder: str) -> bool:
    """Say whether a backstore's folder is that of a block device."""
    return path.basename(path.dirname(folder)).startswith(_KIND)


def bound(target: str) -> dict[str, str | None]:
    """Give the folder name of each of the target's LUNs, and what it is bound to."""
    luns = f"{ISCSI}/{target}/tpgt_1/lun"
    return {
        lun: next(iter(files.links(f"{luns}/{lun}").values()), None)
        for lun in files.entries(luns, "lun_")
    }


def find(
    name: str, *, search: bool, luns: Mapping[str, str | None] | None = None
) -> str | None:
    """Give the folder of the block backstore with a name, None if there is none.

    Args:
        name: the backstore's, which is the target's too.
        search: look at all backstores if it is not where it should be.
        luns: the target's, if the caller has looked already; see :func:`bound`.
    """
    known = bound(name) if luns is None else luns
    for folder in (*filter(None, known.values()), place(name)):
        is_its = path.basename(folder) == name and is_block(folder)
        if is_its and path.isdir(folder):
            return folder
    return next(_named(name), None) if search else None


def folders(kind: str) -> list[str]:
    """List all backstores of a kind on this node, but for HBAs at work."""
    return [
        f"{hba}/{name}"
        for hba in hbas(kind)
        for name in files.entries(hba)
        if path.isdir(f"{hba}/{name}")
    ]


def _named(name: str) -> Iterator[str]:
    """Give all block backstores with a name, wherever they are."""
    return (f"{hba}/{name}" for hba in hbas() if path.isdir(f"{hba}/{name}"))


def hbas(kind: str = _KIND) -> Iterator[str]:
    """Give the HBAs of a kind, but for those at work."""
    with turns.HbasAtWork() as at_work:
        for name in files.entries(CORE, kind):
            if name not in at_work:
                yield f"{CORE}/{name}"


def active(folder: str) -> bool:
    """Say whether the kernel has the device open."""
    return files.get(f"{folder}/enable") == "1"


def device(folder: str) -> str:
    """Give the path of the device; empty if it was not configured."""
    return files.get(f"{folder}/udev_path") or ""


def serial(folder: str) -> str:
    """Give the unit serial; empty if there is none."""
    said = files.get(f"{folder}/wwn/vpd_unit_serial") or ""
    return said.partition(":")[2].strip()


def refuses(folder: str, names: Collection[str]) -> list[str]:
    """Give those of some attributes that are 0, so that a command is refused."""
    # Older kernels lack some of these attributes, and do not have their commands.
    said = {name: files.get(f"{folder}/attrib/{name}") for name in names}
    return [name for name, value in said.items() if value in ("0", None)]


def set_refused(name: str, attribute: str, *, refused: bool) -> None:
    """Refuse a command of ``checks.PASSABLE``, or take it again.

    LIO compares a write protection with the direction of the data that a host
    announces, and carries these out by their code (transport_lookup_cmd_lun() in
    target_core_device.c, sbc_parse_cdb() in target_core_sbc.c).
    """
    value = "0" if refused else checks.PASSABLE[attribute]
    files.put(f"{existing(name)}/attrib/{attribute}", value)


def discard(folder: str) -> bool:
    """Say whether UNMAP is taken."""
    return files.get(f"{folder}/attrib/{_UNMAP}") == "1"


def can_discard(folder: str) -> bool:
    """Say whether the device can discard."""
    # See target_configure_unmap_from_queue() in target_core_device.c.
    return files.get(f"{folder}/attrib/max_unmap_block_desc_count") != "0"


def set_discard(name: str, *, wanted: bool) -> None:
    """Take UNMAP, or take it no more; nothing happens if the device cannot discard."""
    try:
        files.put(f"{existing(name)}/attrib/{_UNMAP}", "1" if wanted else "0")
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


def existing(name: str) -> str:
    """Give the folder of the block backstore with a name.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = find(name, search=True)
    if folder is None:
        raise FileNotFoundError(errno.ENOENT, "", place(name))
    return folder


def create(name: str, device_path: str, unit_serial: str) -> None:
    """Make, configure and enable it. Repeated, it goes on with what is half-built.

    The serial comes first: the NAA name is made of it, and with it the kernel finds
    the volume's persistent reservations (target_core_pr.c).
    """
    folder = find(name, search=False) or place(name)
    if active(folder):
        if (device(folder), serial(folder)) != (device_path, unit_serial):
            raise FileExistsError(errno.EEXIST, "", folder)
        return
    try:
        _configure(folder, device_path, unit_serial)
    except OSError as error:
        # One that the in-tree driver left behind may hold the device.
        strays = [stray for stray in _named(name) if stray != folder]
        if error.errno != errno.EBUSY or not strays:
            raise
        for stray in strays:
            remove_folder(stray)
        _configure(folder, device_path, unit_serial)


def _configure(folder: str, device_path: str, unit_serial: str) -> None:
    node, hba = own_device(device_path), path.dirname(folder)
    with turns.of_hba(path.basename(hba)):
        make_hba(hba)
        files.make(folder)
        files.put(f"{folder}/wwn/vpd_unit_serial", unit_serial)
        files.put(f"{folder}/control", f"udev_path={node}")
        files.put(f"{folder}/udev_path", device_path)
        group = path.basename(path.dirname(device_path))
        reservations.restore(folder, unit_serial, group)
        files.put(f"{folder}/enable", "1")


def own_device(device_path: str) -> str:
    """Give the device node of a logical volume of ours, for the kernel.

    Raises:
        PermissionError: it is none any more.
    """
    try:
        return ours.node(device_path)
    except ValueError:  # it was one when the call was checked
        raise PermissionError(errno.EPERM, "", device_path) from None


def make_hba(folder: str, *modules_of_kind: str) -> None:
    """Make the HBA that a backstore is to be in."""
    try:
        files.make(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The kernel loads the kinds of backstores with the first one of any kind, and
        # never again (transport_subsystem_check_init() in target_core_transport.c).
        modules.load(*modules_of_kind)
        files.make(folder)


def remove(name: str) -> None:
    """Remove it, whole or half-built."""
    folder = find(name, search=True)
    if folder is not None:
        remove_folder(folder)


def remove_folder(folder: str) -> None:
    """Remove a backstore, and its HBA if no other is in it."""
    hba = path.dirname(folder)
    with turns.of_hba(path.basename(hba)):
        files.remove(folder)
        try:
            files.remove(hba)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
