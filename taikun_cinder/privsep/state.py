# SPDX-License-Identifier: Apache-2.0
"""Tells what LIO has for one volume, as plain values, and changes nothing."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard

from taikun_cinder.privsep import backstores, checks, cipher, files, names, readers

_TPG = "tpgt_1"
_NO_SESSION = "No active iSCSI Session"

#: The access of an initiator that is logged in without an ACL.
_UNINVITED: dict[str, Any] = {"credentials": None, "mapped": {}, "session": True}


#: Says for the name of an initiator whether its ACL is asked for.
_Asked = Callable[[str], bool]

#: LUNs, see ``backstores.bound``.
_Luns = Mapping[str, str | None]


def read(
    target: str, key: bytes, *, search: bool, initiators: Collection[str] | None
) -> dict[str, Any]:
    """Read everything of one volume, see ``lio.read``."""
    folder = f"{backstores.ISCSI}/{target}"
    exists = os.path.isdir(folder)

    def asked(name: str) -> bool:
        return initiators is None or name.lower() in initiators

    luns = backstores.bound(target) if exists else {}
    return {
        "backstore": _backstore(target, luns, search=search or exists),
        "readers": _readers(target, luns),
        "target": _target(target, luns, key, asked) if exists else None,
    }


def _backstore(name: str, luns: _Luns, *, search: bool) -> dict[str, Any] | None:
    folder = backstores.find(name, search=search, luns=luns)
    if folder is None:
        return None
    return _disk(folder, checks.PASSABLE) | {
        "discard": backstores.discard(folder),
        "can_discard": backstores.can_discard(folder),
    }


def _readers(target: str, luns: _Luns) -> dict[str, Any] | None:
    folder = readers.find(target, luns)
    if folder is None:
        return None
    return _disk(folder, readers.CHANGING)


def _disk(folder: str, refusable: Collection[str]) -> dict[str, Any]:
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


def _target(target: str, luns: _Luns, key: bytes, asked: _Asked) -> dict[str, Any]:
    there = files.entries(f"{backstores.ISCSI}/{target}")
    tags = [names.tag(name) for name in there if name != _TPG]
    return {
        "tpg": _tpg(target, luns, key, asked) if _TPG in there else None,
        "other_tpgs": [tag for tag in tags if tag is not None],
    }


def _tpg(target: str, luns: _Luns, key: bytes, asked: _Asked) -> dict[str, Any]:
    folder = f"{backstores.ISCSI}/{target}/{_TPG}"
    acls = f"{folder}/acls"
    uninvited = {name: _UNINVITED for name in dynamic_sessions(folder) if asked(name)}
    invited = {
        name: _acl(acls, name, key) for name in files.entries(acls) if asked(name)
    }
    return {
        "enabled": files.get(f"{folder}/enable") == "1",
        "attributes": _attributes(folder),
        "luns": _luns(target, luns),
        "portals": list(portals(f"{folder}/np").values()),
        "acls": uninvited | invited,
    }


def dynamic_sessions(folder: str) -> list[str]:
    """Name the initiators that are logged in to a TPG without an ACL.

    They came while generate_node_acls was 1. Their sessions live on when it is 0
    again, and they are in no folder (target_show_dynamic_sessions() in the kernel).
    """
    said = files.get(f"{folder}/dynamic_sessions") or ""
    return said.replace("\0", " ").split()  # each name ends with a zero byte, too


def _attributes(folder: str) -> dict[str, int]:
    found = {name: files.get(f"{folder}/attrib/{name}") for name in checks.ATTRIBUTES}
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


def _lun(target: str, backstore: str | None) -> str | None:
    if backstore is None:
        return None
    name = os.path.basename(backstore)
    if name == readers.name_of(target):
        is_its = backstore in readers.places(target)
    else:
        is_its = backstores.is_block(backstore)
    if is_its:
        return name
    return "/".join(backstore.split("/")[-2:])


def portals(folder: str) -> dict[str, tuple[str, int]]:
    """Give each portal's folder, its address in the shortest form, and its port."""
    read = {name: names.portal(name) for name in files.entries(folder)}
    return {f"{folder}/{name}": portal for name, portal in read.items() if portal}


def _acl(acls: str, name: str, key: bytes) -> dict[str, Any]:
    folder = f"{acls}/{name}"
    info = files.get(f"{folder}/info") or _NO_SESSION
    return {
        "credentials": _credentials(folder, name, key),
        "mapped": _mapped(folder),
        "session": not info.startswith(_NO_SESSION),
    }


def _credentials(folder: str, name: str, key: bytes) -> tuple[str, bytes] | None:
    username = files.get(f"{folder}/auth/userid")
    password = files.get(f"{folder}/auth/password")
    open_to_all = files.get(f"{folder}/attrib/authentication") == "0"
    # A host that is asked for no proof of the target's refuses to log in.
    mutual = files.get(f"{folder}/auth/authenticate_target") == "1"
    if not (_is_set(username) and _is_set(password)) or open_to_all or mutual:
        return None
    return username, cipher.digest(password, key, name)


def _is_set(value: str | None) -> TypeGuard[str]:
    """Say whether the kernel has it: NULL takes it away, and the text stays."""
    return bool(value) and not str(value).startswith("NULL")


def _mapped(acl: str) -> dict[int, tuple[int | None, bool]]:
    found: dict[int, tuple[int | None, bool]] = {}
    for name in files.entries(acl):
        index = names.lun(name)
        if index is not None and names.is_plain(name, index):
            found[index] = _mapping(f"{acl}/{name}")
        elif index is not None:
            found.setdefault(index, (None, True))
    return found


def _mapping(folder: str) -> tuple[int | None, bool]:
    # The binding outlives its effect: when the LUN's backstore goes, the kernel takes
    # the LUN from all initiators (core_clear_lun_from_tpg() in target_core_device.c)
    # and leaves the links. Then write_protect is empty.
    protect = files.get(f"{folder}/write_protect")
    for lun in files.links(folder).values() if protect else ():
        name = os.path.basename(lun)
        index = names.lun(name)
        if index is not None and names.is_plain(name, index):
            return index, protect == "1"
    return None, True
