# SPDX-License-Identifier: Apache-2.0
"""Everything that can be missing or wrong in LIO for one volume, made so by hand.

The hosts are ``a``, which is logged in, and ``b``, which has an ACL only.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rtslib_fb import TPG, BlockStorageObject, FabricModule, MappedLUN, NodeACL, Target

from lab.guest.initiators import connector
from lab.plan import VOLUME_GROUP

_ROOT = Path("/sys/kernel/config/target")
_A, _B, _FOREIGN = (connector(name)["initiator"] for name in ("a", "b", "foreign"))

#: Files that show sessions, how much was read, or the kernel's own counters.
_MOVING = {
    "alua",
    # Goes to 1 along with generate_node_acls, without which nobody asks for it.
    "cache_dynamic_acls",
    "dynamic_sessions",
    "fabric_statistics",
    "info",
    "max_write_same_len",  # as much as the device below could do so far
    "param",
    "statistics",
}


def _target(name: str) -> Target:
    return Target(FabricModule("iscsi"), name, mode="lookup")


def _tpg(name: str) -> TPG:
    return TPG(_target(name), 1, mode="lookup")


def _acl(name: str, initiator: str) -> NodeACL:
    return NodeACL(_tpg(name), initiator, mode="lookup")


def _backstore(name: str) -> BlockStorageObject:
    (lun,) = _tpg(name).luns
    return lun.storage_object


def _put(path: str, value: str) -> Callable[[str], None]:
    def put(name: str) -> None:
        (_ROOT / "iscsi" / name / "tpgt_1" / path).write_text(value)

    return put


def _unlink(path: str) -> Callable[[str], None]:
    def unlink(name: str) -> None:
        folder = _ROOT / "iscsi" / name / "tpgt_1" / path
        for entry in folder.iterdir():
            if entry.is_symlink():
                entry.unlink()

    return unlink


def _remove(path: str) -> Callable[[str], None]:
    return lambda name: (_ROOT / "iscsi" / name / "tpgt_1" / path).rmdir()


def _make(path: str) -> Callable[[str], None]:
    return lambda name: (_ROOT / "iscsi" / name / "tpgt_1" / path).mkdir()


def _let_a_stranger_in(name: str) -> None:
    acl = NodeACL(_tpg(name), _FOREIGN, mode="create")
    acl.chap_userid, acl.chap_password = "stranger", "stranger-password"
    MappedLUN(acl, 0, tpg_lun=0)


def _remove_portals(name: str) -> None:
    for portal in _tpg(name).network_portals:
        portal.delete()


def _remove_everything(name: str) -> None:
    backstore = _backstore(name)
    _target(name).delete()
    backstore.delete()


#: No session stands on these.
UNFELT: Mapping[str, Callable[[str], None]] = {
    "no portal": _remove_portals,
    "no ACL for b": lambda name: _acl(name, _B).delete(),
    "no LUN for b": lambda name: next(_acl(name, _B).mapped_luns).delete(),
    "a LUN for b that leads nowhere": _unlink(f"acls/{_B}/lun_0"),
    "b read-only": _put(f"acls/{_B}/lun_0/write_protect", "1"),
    "a wrong password for b": _put(f"acls/{_B}/auth/password", "wrong"),
    "a wrong user name for b": _put(f"acls/{_B}/auth/userid", "wrong"),
    "no password for b": _put(f"acls/{_B}/auth/password", "NULL"),
    "a wrong password for a": _put(f"acls/{_A}/auth/password", "wrong"),
    "nothing asked of b": _put(f"acls/{_B}/attrib/authentication", "0"),
    "nothing asked of a": _put(f"acls/{_A}/attrib/authentication", "0"),
    "nothing asked of anybody": _put("attrib/authentication", "0"),
    "an ACL for whoever comes": _put("attrib/generate_node_acls", "1"),
    "who comes may write": _put("attrib/demo_mode_write_protect", "0"),
    "new LUNs read-only": _put("attrib/prod_mode_write_protect", "1"),
    "a foreign host let in": _let_a_stranger_in,
    "a foreign host half in": _make(f"acls/{_FOREIGN}"),
    "another LUN": _make("lun/lun_7"),
    "another TPG": _make("../tpgt_2"),
}

#: By these host a loses its session; its writes wait for a new one.
ENDS_SESSIONS: Mapping[str, Callable[[str], None]] = {
    "TPG disabled": _put("enable", "0"),
    "no ACL for a": lambda name: _acl(name, _A).delete(),
    "no target": lambda name: _target(name).delete(),
    "no TPG": lambda name: _tpg(name).delete(),
    "no target and no backstore": _remove_everything,
}

#: By these host a's session leads to nothing. LIO answers with an empty, read-only LUN
#: 0 of its own (core_tpg_setup_virtual_lun0() in target_core_tpg.c), so writes fail.
EMPTIES_SESSIONS: Mapping[str, Callable[[str], None]] = {
    "no LUN for a": lambda name: next(_acl(name, _A).mapped_luns).delete(),
    "no LUN": lambda name: next(_tpg(name).luns).delete(),
    "a LUN that leads nowhere": _unlink("lun/lun_0"),
    "no backstore": lambda name: _backstore(name).delete(),
}


def damage(name: str, *what: str) -> None:
    """Do some of the above to a target."""
    for description in what:
        {**UNFELT, **ENDS_SESSIONS, **EMPTIES_SESSIONS}[description](name)


def leave_backstore(name: str) -> None:
    """Make a backstore without a target, where rtslib makes them."""
    volume = name.rpartition(":")[2]
    BlockStorageObject(name, dev=f"/dev/{VOLUME_GROUP}/{volume}")


def everything(name: str) -> dict[str, str]:
    """Give all that configfs says about a target and its backstore, by path.

    Together they are the whole target, without what changes all the time.
    """
    backstores = _ROOT.glob(f"core/iblock_*/{name}")
    found: dict[str, str] = {}
    for root in (_ROOT / "iscsi" / name, *backstores):
        for folder, folders, files in os.walk(root):
            _links(Path(folder), folders, found)
            folders[:] = [child for child in folders if child not in _MOVING]
            for file in sorted(set(files) - _MOVING):
                found[f"{folder}/{file}"] = _content(Path(folder, file))
            found.setdefault(folder, "")
    return found


def _links(folder: Path, names: list[str], found: dict[str, str]) -> None:
    # The name of a link is arbitrary; only its target counts.
    for name in [entry for entry in names if (folder / entry).is_symlink()]:
        names.remove(name)
        found[f"{folder}/ -> {os.readlink(folder / name)}"] = ""


def _content(path: Path) -> str:
    if path.match("acls/*/attrib/authentication"):
        # -1 is what the TPG says, and the TPG is looked at as well.
        return path.read_text().replace("-1", "1")
    try:
        return path.read_text()
    except OSError:
        return "cannot be read"  # some attributes can be written only
