# SPDX-License-Identifier: Apache-2.0
"""Readers' backstores: the disks that show a volume to those who may only read it.

The main one has the device for itself. Two kinds of backstores do not ask for that, and
read past all caches, so what is read is what was written last:

- One for block devices that is told to share its device (``exclusive=0``, Linux 6.17).
- One for files that is told ``fd_async_io``. Until March 2026 (commit 01f784fc9d0a) it
  left parts of a request unset, its priority among them (fd_execute_rw_aio() in
  target_core_file.c). The scheduler mq-deadline takes a priority for an index, and by
  one that does not exist it writes into others' memory (dd_insert_request() in
  mq-deadline.c). So this kind takes a kernel that clears the memory it allocates.
"""

import dataclasses
import errno
import os
from collections.abc import Mapping

from taikun_cinder.privsep import backstores, files, memory, turns
from taikun_cinder.privsep.refusal import KernelRefused


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of backstores.

    Attributes:
        hba: what the names of its HBAs begin with.
        module: of the kernel.
        device: the option of ``control`` that has the device.
        wanted: what else it is told there.
        said: what it says then, if it knows that; others are ignored without a word.
        lack: what a kernel lacks that does not say so.
        model: what hosts are told that it is, if not what the kernel would tell: a disk
            has the same name on a host, whatever kind it is of.
        takes_cleared_memory: whether it takes a kernel that clears its memory.
    """

    hba: str
    module: str
    device: str
    wanted: str
    said: str
    lack: str
    model: str = ""
    takes_cleared_memory: bool = False


_KINDS = (
    _Kind(
        hba="iblock_",
        module="target_core_iblock",
        device="udev_path",
        wanted="readonly=1,exclusive=0",
        said="exclusive: 0",
        lack="cannot share a device (exclusive=0, from Linux 6.17 on)",
        model="FILEIO",
    ),
    _Kind(
        hba="fileio_",
        module="target_core_file",
        device="fd_dev_name",
        wanted="fd_async_io=1",
        said="Async: 1",
        lack="cannot read past caches (fd_async_io, from Linux 4.18 on)",
        takes_cleared_memory=True,
    ),
)

#: Behind the target's name, so that the in-tree driver, which looks for a backstore by
#: the target's name, never takes this one for the volume's.
_SUFFIX = "-readers"

#: The attributes that have to be 0, or a host could do more by a crafted command than
#: read. They are WRITE SAME, EXTENDED COPY, UNMAP (alone, and by WRITE SAME),
#: reservations, and COMPARE AND WRITE.
CHANGING = (
    "max_write_same_len",
    "emulate_3pc",
    "emulate_tpu",
    "emulate_tpws",
    "emulate_pr",
    "emulate_caw",
)

_UNCLEARED: Mapping[bool | None, str] = {
    False: "this kernel does not clear the memory that it allocates; boot it with "
    "init_on_alloc=1",
    None: "neither the kernel's parameters nor a configuration in /boot say that it "
    "clears the memory that it allocates; boot it with init_on_alloc=1, or let "
    "/boot/config-RELEASE be seen",
}


class _LackError(OSError):
    """This kernel cannot have a readers' backstore of a kind; its text says why."""

    def __init__(self, kind: _Kind, lack: str) -> None:
        self.words = f"the kernel's module {kind.module} {lack}"
        path = f"{backstores.CORE}/{kind.hba}*"
        super().__init__(errno.EOPNOTSUPP, self.words, path)


def places(target: str) -> list[str]:
    """Give the folders in which a target's readers' backstore may be."""
    return [backstores.place(name_of(target), kind.hba) for kind in _KINDS]


def find(target: str, luns: Mapping[str, str | None] | None = None) -> str | None:
    """Give the folder of a target's readers' backstore; None if there is none.

    A version of this driver that knew one kind only may have left one of each. Then it
    is the one that hosts see.

    Args:
        target: its name.
        luns: its LUNs, if the caller has looked already; see ``backstores.bound``.
    """
    found = [folder for folder in places(target) if os.path.isdir(folder)]
    if len(found) > 1:
        bound = backstores.bound(target) if luns is None else luns
        seen = [folder for folder in found if folder in bound.values()]
        return next(iter((*seen, *filter(backstores.active, found), *found)))
    return next(iter(found), None)


def existing(target: str) -> str:
    """Give the folder of a target's readers' backstore.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = find(target)
    if folder is None:
        raise FileNotFoundError(errno.ENOENT, "", places(target)[0])
    return folder


def target_of(folder: str) -> str | None:
    """Give the target of a backstore that is a readers' one; None if it is none."""
    name = os.path.basename(folder)
    target = name.removesuffix(_SUFFIX)
    return target if target != name and folder in places(target) else None


def folders() -> list[str]:
    """List all backstores of the kinds that a readers' one can be of."""
    return [folder for kind in _KINDS for folder in backstores.folders(kind.hba)]


def name_of(target: str) -> str:
    """Give the name of a target's readers' backstore."""
    return f"{target}{_SUFFIX}"


def harden(target: str) -> None:
    """Refuse all that could change anything."""
    _harden(existing(target))


def create(target: str, path: str, serial: str) -> None:
    """Make, configure and enable it, and leave nothing behind if that fails.

    Nobody sees it before it has a LUN, and until then it is hardened: the kernel gives
    some attributes their values only when it is enabled.
    """
    folder = find(target)
    if folder is None or not backstores.active(folder):
        folder = _create(target, path, serial)
    elif (backstores.device(folder), backstores.serial(folder)) != (path, serial):
        raise FileExistsError(errno.EEXIST, "", folder)
    _harden(folder)


def remove(target: str) -> None:
    """Remove it, whole or half-built."""
    for folder in places(target):
        _remove(folder)


def lack() -> str:
    """Say what this kernel lacks for such backstores; empty if it is nothing."""
    lacks = []
    for kind in _KINDS:
        try:
            _try(kind)
        except (OSError, KernelRefused) as error:
            lacks.append(_words(kind, error))
        else:
            return ""
    return ", and ".join(lacks)


def _words(kind: _Kind, error: OSError | KernelRefused) -> str:
    if isinstance(error, _LackError):
        return error.words
    return f"the kernel's module {kind.module} cannot be had ({error})"


def _try(kind: _Kind) -> None:
    """Begin one, and remove it; one that a killed process has left behind, too."""
    # Who has such a disk keeps it where nobody knows, and no other is given one.
    _refuse_uncleared(kind, False, None)
    folder = backstores.place("trial", kind.hba)
    _remove(folder)
    try:
        with turns.of_hba(os.path.basename(os.path.dirname(folder))):
            _begin(kind, folder)
    finally:
        _remove(folder)


def _create(target: str, path: str, serial: str) -> str:
    remove(target)  # what is half-built may be of another kind
    block, for_files = zip(_KINDS, places(target), strict=True)
    try:
        return _configure(*block, path, serial)
    except _LackError:
        return _configure(*for_files, path, serial)


def _configure(kind: _Kind, folder: str, path: str, serial: str) -> str:
    node = backstores.own_device(path)
    try:
        with turns.of_hba(os.path.basename(os.path.dirname(folder))):
            _begin(kind, folder)
            files.put(f"{folder}/wwn/vpd_unit_serial", serial)
            if kind.model:
                files.put(f"{folder}/wwn/product_id", kind.model)
            files.put(f"{folder}/control", f"{kind.device}={node}")
            files.put(f"{folder}/udev_path", path)
            files.put(f"{folder}/enable", "1")
    except OSError:
        _remove(folder)
        raise
    return folder


def _refuse_uncleared(kind: _Kind, *refused: bool | None) -> None:
    """Refuse a kind that this kernel may not bear, by what is known of its memory."""
    if kind.takes_cleared_memory and (cleared := memory.is_cleared()) in refused:
        raise _LackError(kind, f"could make this node crash: {_UNCLEARED[cleared]}")


def _begin(kind: _Kind, folder: str) -> None:
    """Make it, tell it what it is to be, and see whether it knows that.

    Raises:
        _LackError: it does not, or this kernel does not bear it.
    """
    _refuse_uncleared(kind, False)
    backstores.make_hba(os.path.dirname(folder), kind.module)
    files.make(folder)
    files.put(f"{folder}/control", kind.wanted)
    if kind.said not in (files.get(f"{folder}/info") or ""):
        raise _LackError(kind, kind.lack)


def _harden(folder: str) -> None:
    refused = backstores.refuses(folder, CHANGING)
    for name in CHANGING:
        if name not in refused:
            files.put(f"{folder}/attrib/{name}", "0")


def _remove(folder: str) -> None:
    if os.path.isdir(os.path.dirname(folder)):
        backstores.remove_folder(folder)
