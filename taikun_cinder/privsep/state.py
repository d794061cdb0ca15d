# SPDX-License-Identifier: Apache-2.0
"""Tells what LIO has for one volume, as plain values, and changes nothing."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from taikun_cinder.privsep import backstores, checks, cipher, files, names, readers

_TPG = "tpgt_1"
_NO_SESSION = "No active iSCSI Session"

#: The access of an initiator that is logged in without an ACL.
_UNINVITED: dict[str, Any] = {"credentials": None, "mapped": {}, "session": True}


#: Says for the name of an initiator whether its ACL is asked for.
_Asked = Callable[[str], bool]

#: LUNs, see ``backstores.bound``.
_Luns = Mapping[str, Path | None]


def read(
    target: str, key: bytes, *, search: bool, initiators: Collection[str] | None
) -> dict[str, Any]:
    """Read everything of one volume, see ``lio.read``."""
    folder = backstores.ISCSI / target
    exists = folder.is_dir()

    def asked(name: str) -> bool:
        return initiators is None or name.lower() in initiators

    luns = backstores.bound(target) if exists else {}
    return {
        "backstore": _backstore(target, luns, search=search or exists),
        "readers": _readers(target),
        "target": _target(folder, luns, key, asked) if exists else None,
    }


def _backstore(name: str, luns: _Luns, *, search: bool) -> dict[str, Any] | None:
    folder = backstores.find(name, search=search, luns=luns)
    if folder is None:
        return None
    return _disk(folder, checks.PASSABLE) | {
        "discard": backstores.discard(folder),
        "can_discard": backstores.can_discard(folder),
    }


def _readers(target: str) -> dict[str, Any] | None:
    folder = readers.place(target)
    if not folder.is_dir():
        return None
    return _disk(folder, readers.CHANGING)


def _disk(folder: Path, refusable: Collection[str]) -> dict[str, Any]:
    """Tell what is told of every backstore of a volume.

    Args:
        folder: the backstore's.
        refusable: the attributes that are 0 if a command is refused.
    """
    return {
        "device": backstores.device(folder),
        "serial": backstores.serial(folder),
        "active": backstores.active(folder),
        "refuses": backstores.refuses(folder, refusable),
    }


def _target(folder: Path, luns: _Luns, key: bytes, asked: _Asked) -> dict[str, Any]:
    there = files.entries(folder)
    tags = [names.tag(name) for name in there if name != _TPG]
    return {
        "tpg": _tpg(folder / _TPG, luns, key, asked) if _TPG in there else None,
        "other_tpgs": [tag for tag in tags if tag is not None],
    }


def _tpg(folder: Path, luns: _Luns, key: bytes, asked: _Asked) -> dict[str, Any]:
    target = folder.parent.name
    uninvited = {name: _UNINVITED for name in dynamic_sessions(folder) if asked(name)}
    acls = folder / "acls"
    invited = {
        name: _acl(acls / name, key) for name in files.entries(acls) if asked(name)
    }
    return {
        "enabled": files.get(folder / "enable") == "1",
        "attributes": _attributes(folder),
        "luns": _luns(target, luns),
        "portals": list(portals(folder / "np").values()),
        "acls": uninvited | invited,
    }


def dynamic_sessions(folder: Path) -> list[str]:
    """Name the initiators that are logged in to a TPG without an ACL.

    They came while generate_node_acls was 1. Their sessions live on when it is 0
    again, and they are in no folder (target_show_dynamic_sessions() in the kernel).
    """
    said = files.get(folder / "dynamic_sessions") or ""
    return said.replace("\0", " ").split()  # each name ends with a zero byte, too


def _attributes(folder: Path) -> dict[str, int]:
    found = {name: files.get(folder / f"attrib/{name}") for name in checks.ATTRIBUTES}
    return {name: int(value) for name, value in found.items() if value}


def _luns(target: str, bound: _Luns) -> dict[int, str | None]:
    """Give the LUNs; one whose folder has another name than its index leads nowhere."""
    found: dict[int, str | None] = {}
    for name, backstore in bound.items():
        index = names.lun(name)
        if index is not None and names.is_plain(name, index):
            found[index] = _lun(target, backstore)
        elif index is not None:
            found.setdefault(index, None)
    return found


def _lun(target: str, backstore: Path | None) -> str | None:
    if backstore is None:
        return None
    if backstores.is_block(backstore) or backstore == readers.place(target):
        return backstore.name
    return f"{backstore.parent.name}/{backstore.name}"


def portals(folder: Path) -> dict[Path, tuple[str, int]]:
    """Give each portal's folder, its address in the shortest form, and its port."""
    read = {name: names.portal(name) for name in files.entries(folder)}
    return {folder / name: portal for name, portal in read.items() if portal}


def _acl(folder: Path, key: bytes) -> dict[str, Any]:
    info = files.get(folder / "info") or _NO_SESSION
    return {
        "credentials": _credentials(folder, key),
        "mapped": _mapped(folder),
        "session": not info.startswith(_NO_SESSION),
    }


def _credentials(folder: Path, key: bytes) -> tuple[str, bytes] | None:
    username = files.get(folder / "auth/userid")
    password = files.get(folder / "auth/password")
    open_to_all = files.get(folder / "attrib/authentication") == "0"
    # A host that is asked for no proof of the target's refuses to log in.
    mutual = files.get(folder / "auth/authenticate_target") == "1"
    if not username or not password or open_to_all or mutual:
        return None
    return username, cipher.digest(password, key, folder.name)


def _mapped(acl: Path) -> dict[int, tuple[int | None, bool]]:
    found: dict[int, tuple[int | None, bool]] = {}
    for name in files.entries(acl):
        index = names.lun(name)
        if index is not None and names.is_plain(name, index):
            found[index] = _mapping(acl / name)
        elif index is not None:
            found.setdefault(index, (None, True))
    return found


def _mapping(folder: Path) -> tuple[int | None, bool]:
    # The binding outlives its effect: when the LUN's backstore goes, the kernel takes
    # the LUN from all initiators (core_clear_lun_from_tpg() in target_core_device.c)
    # and leaves the links. Then write_protect is empty.
    protect = files.get(folder / "write_protect")
    for lun in files.links(folder).values() if protect else ():
        index = names.lun(lun.name)
        if index is not None and names.is_plain(lun.name, index):
            return index, protect == "1"
    return None, True
