# SPDX-License-Identifier: Apache-2.0
"""The single changes that can be asked for, each safe to repeat.

The fabric's folders and their rules are the kernel's target_core_fabric_configfs.c and
iscsi_target_configfs.c.
"""

import contextlib
import errno
from collections.abc import Callable
from typing import Any

from taikun_cinder.privsep import backstores, checks, files, names, readers, state

_PROTECT_NEW = "prod_mode_write_protect"

_Change = Callable[..., None]

#: The changes that can be asked for, by name. Each takes the name of the target, and
#: the values that its checks let pass.
CHANGES: dict[str, tuple[_Change, tuple[Callable[[object], Any], ...]]] = {}


def _change(*wanted: Callable[[object], Any]) -> Callable[[_Change], _Change]:
    """Let a function be asked for.

    Args:
        wanted: a check for each of its arguments behind the target's name.
    """

    def offer(change: _Change) -> _Change:
        CHANGES[change.__name__] = change, wanted
        return change

    return offer


@_change(checks.device, checks.serial)
def create_backstore(target: str, device: str, serial: str) -> None:
    """Make, configure and enable the block backstore, with its serial."""
    backstores.create(target, device, serial)


@_change()
def remove_backstore(target: str) -> None:
    """Remove the backstore, whole or half-built, and close its device."""
    backstores.remove(target)


@_change(checks.passable, checks.flag)
def set_refused(target: str, name: str, refused: bool) -> None:
    """Refuse a command that passes the write protection of LUN 0, or take it."""
    backstores.set_refused(target, name, refused=refused)


@_change(checks.flag)
def set_discard(target: str, discard: bool) -> None:
    """Take UNMAP by the main backstore, or take it no more."""
    backstores.set_discard(target, wanted=discard)


@_change(checks.device, checks.serial)
def create_readers(target: str, device: str, serial: str) -> None:
    """Make, configure, enable and harden the readers' backstore, with its serial."""
    readers.create(target, device, serial)


@_change()
def harden_readers(target: str) -> None:
    """Let the readers' backstore refuse all that could change anything."""
    readers.harden(target)


@_change()
def remove_readers(target: str) -> None:
    """Remove the readers' backstore, whole or half-built, and close its device."""
    readers.remove(target)


@_change()
def create_target(target: str) -> None:
    """Make the target, without any TPG."""
    files.make(_target(target))


@_change()
def remove_target(target: str) -> None:
    """Remove the target with all that is in it."""
    for name in files.entries(_target(target)):
        if names.tag(name) is not None:
            _remove_tpg(f"{_target(target)}/{name}")
    files.remove(_target(target))


@_change()
def create_tpg(target: str) -> None:
    """Make the TPG with the tag 1, disabled, with the attributes it must have."""
    files.make(_tpg(target))
    for name in checks.ATTRIBUTES:
        pin_attribute(target, name)


@_change(checks.other_tag)
def remove_tpg(target: str, tag: int) -> None:
    """Remove another TPG than the volume's, with all that is in it."""
    for name in files.entries(_target(target)):
        tpg = f"{_target(target)}/{name}"
        if names.tag(name) == tag and tpg != _tpg(target):
            _remove_tpg(tpg)


@_change(checks.attribute)
def pin_attribute(target: str, name: str) -> None:
    """Give an attribute of the TPG the one value that it must have."""
    files.put(f"{_tpg(target)}/attrib/{name}", str(checks.ATTRIBUTES[name]))


@_change()
def enable_tpg(target: str) -> None:
    """Let the initiators that have an ACL log in."""
    files.put(f"{_tpg(target)}/enable", "1")


@_change(checks.own_lun)
def add_lun(target: str, index: int) -> None:
    """Make LUN 0 or 1, bound to the main or the readers' backstore."""
    backstore = _backstore(target, index)
    lun = f"{_tpg(target)}/lun/lun_{index}"
    files.make(lun)
    bound = files.links(lun)
    if set(bound.values()) == {backstore}:
        return
    for source in bound:
        files.unlink(source)
    files.link(f"{lun}/backstore", backstore)


@_change(checks.lun)
def remove_lun(target: str, index: int) -> None:
    """Remove a LUN that no initiator sees."""
    acls = f"{_tpg(target)}/acls"
    for lun in _luns(f"{_tpg(target)}/lun", index):
        for acl in files.entries(acls):
            _forget_dead(f"{acls}/{acl}", lun)
        _remove_lun(lun)


@_change(checks.address, checks.port)
def add_portal(target: str, address: str, port: int) -> None:
    """Listen there."""
    portals = f"{_tpg(target)}/np"
    if (address, port) in state.portals(portals).values():
        return
    host = f"[{address}]" if ":" in address else address
    files.make(f"{portals}/{host}:{port}")


@_change(checks.any_address, checks.port)
def remove_portal(target: str, address: str, port: int) -> None:
    """Listen there no more."""
    for folder, portal in state.portals(f"{_tpg(target)}/np").items():
        if portal == (address, port):
            files.remove(folder)


@_change(checks.initiator)
def create_acl(target: str, initiator: str) -> None:
    """Make an ACL by which nobody can log in yet."""
    files.make(_acl(target, initiator))


@_change(checks.folder)
def remove_acl(target: str, initiator: str) -> None:
    """Remove an ACL, in whatever case it is written. Its session ends first."""
    if initiator in state.dynamic_sessions(_tpg(target)):
        # The ACL that the kernel made by itself becomes one that can be removed
        # (core_tpg_add_initiator_node_acl() in target_core_tpg.c).
        files.make(_acl(target, initiator))
    for name in files.entries(f"{_tpg(target)}/acls"):
        if name.lower() == initiator.lower():
            acl = _acl(target, name)
            _end_session(acl)
            _remove_acl(acl)


@_change(checks.initiator, checks.secret, checks.secret)
def set_credentials(target: str, initiator: str, username: str, password: str) -> None:
    """Let the initiator log in with these only."""
    acl = _acl(target, initiator)
    files.make(acl)  # one that is there in another case is not seen by LIO
    if files.get(f"{acl}/attrib/authentication") == "0":
        files.put(f"{acl}/attrib/authentication", "1")
    if files.get(f"{acl}/auth/authenticate_target") == "1":
        files.put(f"{acl}/auth/userid_mutual", "NULL")
        files.put(f"{acl}/auth/password_mutual", "NULL")
    # In this order: a host that knows the old password does not know the new username.
    files.put(f"{acl}/auth/password", password)
    files.put(f"{acl}/auth/userid", username)


@_change(checks.initiator, checks.flag, checks.own_lun)
def map_lun(target: str, initiator: str, write_protect: bool, index: int) -> None:
    """Show a LUN to the initiator, write-protected from the first moment if asked.

    What is written to write_protect before the LUN is bound is taken without an error
    and without effect: there is no entry yet that it could be kept in. The entry
    begins with what the TPG says (target_fabric_mappedlun_link()). Only a host that
    came in without an ACL has one already, which keeps what it says.
    """
    _see_that_readers_only_read(target, initiator, write_protect, index)
    tpg, mapped = _tpg(target), f"{_acl(target, initiator)}/lun_{index}"
    files.make(mapped)
    for source in files.links(mapped):
        files.unlink(source)
    files.put(f"{mapped}/write_protect", _bit(write_protect))
    begins = f"{tpg}/attrib/{_PROTECT_NEW}"
    files.put(begins, _bit(write_protect))
    try:
        files.link(f"{mapped}/lun", f"{tpg}/lun/lun_{index}")
    finally:
        # The in-tree driver, if it gets the volume back, would map its LUNs read-only.
        files.put(begins, "0")
    if files.get(f"{mapped}/write_protect") != _bit(write_protect):
        files.unlink(f"{mapped}/lun")
        raise PermissionError(errno.EPERM, "", f"{mapped}/write_protect")


@_change(checks.folder, checks.lun)
def unmap_lun(target: str, initiator: str, index: int) -> None:
    """Show the initiator nothing under this index."""
    for lun in _luns(_acl(target, initiator), index):
        _remove_lun(lun)


@_change(checks.initiator, checks.flag, checks.own_lun)
def set_write_protect(
    target: str, initiator: str, write_protect: bool, index: int
) -> None:
    """Refuse the initiator's writes, or refuse them no more; it may be logged in."""
    _see_that_readers_only_read(target, initiator, write_protect, index)
    mapped = f"{_acl(target, initiator)}/lun_{index}"
    files.put(f"{mapped}/write_protect", _bit(write_protect))
    if files.get(f"{mapped}/write_protect") != _bit(write_protect):
        raise FileNotFoundError(errno.ENOENT, "", f"{mapped}/lun")


def _see_that_readers_only_read(
    target: str, initiator: str, write_protect: bool, index: int
) -> None:
    if index == checks.READERS_LUN and not write_protect:
        where = f"{_acl(target, initiator)}/lun_{index}"
        raise PermissionError(errno.EPERM, "", where)


def _backstore(target: str, index: int) -> str:
    """Give the backstore that a LUN has to lead to."""
    if index == checks.READERS_LUN:
        return readers.existing(target)
    return backstores.existing(target)


def _target(target: str) -> str:
    return f"{backstores.ISCSI}/{target}"


def _tpg(target: str) -> str:
    return f"{backstores.ISCSI}/{target}/tpgt_1"


def _acl(target: str, initiator: str) -> str:
    return f"{backstores.ISCSI}/{target}/tpgt_1/acls/{initiator}"


def _luns(folder: str, index: int) -> list[str]:
    """Give the folders that the kernel takes for a LUN, however they are called."""
    there = files.entries(folder)
    return [f"{folder}/{name}" for name in there if names.lun(name) == index]


def _bit(value: bool) -> str:
    return "1" if value else "0"


def _remove_tpg(tpg: str) -> None:
    if files.get(f"{tpg}/enable") == "1":
        files.put(f"{tpg}/enable", "0")  # nobody logs in between the steps below
    for name in files.entries(f"{tpg}/acls"):
        _remove_acl(f"{tpg}/acls/{name}")
    for name in files.entries(f"{tpg}/np"):
        files.remove(f"{tpg}/np/{name}")
    for name in files.entries(f"{tpg}/lun", "lun_"):
        _remove_lun(f"{tpg}/lun/{name}")
    files.remove(tpg)


def _remove_acl(acl: str) -> None:
    for name in files.entries(acl, "lun_"):
        _remove_lun(f"{acl}/{name}")
    files.remove(acl)


def _end_session(acl: str) -> None:
    """End the session of an ACL, and let no other begin.

    Who is logged in while his LUN 0 is taken away reads from a LUN of the kernel's own:
    the first sectors are what the node's memory had by chance, without any error
    (transport_lookup_cmd_lun(), core_dev_setup_virtual_lun0(), rd_execute_rw()).

    A queue of another depth ends the sessions of an ACL, and waits for their commands
    (core_tpg_set_initiator_node_queue_depth()). Of two depths one is another, and the
    second one is the kernel's own (TA_DEFAULT_CMDSN_DEPTH): the host may get its ACL
    back, if what follows comes too late. Without a password nobody can log in by it
    (chap_server_open()), so the host is not back at once.
    """
    for name, text in (
        ("auth/password", "NULL"),
        ("attrib/authentication", "1"),
        ("cmdsn_depth", "63"),
        ("cmdsn_depth", "64"),
    ):
        # That its access ends, as with its ACL, matters more than what it reads.
        with contextlib.suppress(OSError):
            files.put(f"{acl}/{name}", text)


def _remove_lun(lun: str) -> None:
    for source in files.links(lun):
        files.unlink(source)
    files.remove(lun)


def _forget_dead(acl: str, lun: str) -> None:
    """Undo bindings to a LUN that are without effect and still keep it from going."""
    for name in files.entries(acl, "lun_"):
        for source, to in files.links(f"{acl}/{name}").items():
            if to == lun and not files.get(f"{acl}/{name}/write_protect"):
                files.unlink(source)
