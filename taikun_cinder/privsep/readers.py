# SPDX-License-Identifier: Apache-2.0
"""Readers' backstores: the disks that show a volume to those who may only read it.

The main one has the device for itself. Two kinds of backstores do not ask for that, and
read past all caches, so what is read is what was written last:

- One for block devices that is told to share its device (``exclusive=0``, Linux 6.18).
  The kernel opens the device for reading only.
- One for files that is told ``fd_async_io``. Until March 2026 (commit 01f784fc9d0a) it
  left parts of a request unset, its priority among them (fd_execute_rw_aio() in
  target_core_file.c). The scheduler mq-deadline takes a priority for an index, and by
  one that does not exist it writes into others' memory (dd_insert_request() in
  mq-deadline.c). So this kind takes a kernel that clears the memory it allocates.
"""

import dataclasses
import errno
import os
import secrets

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
        takes_cleared_memory: whether it takes a kernel that clears its memory.
    """

    hba: str
    module: str
    device: str
    wanted: str
    said: str
    lack: str
    takes_cleared_memory: bool = False


_KINDS = (
    _Kind(
        hba="iblock_",
        module="target_core_iblock",
        device="udev_path",
        wanted="readonly=1,exclusive=0",
        said="exclusive: 0",
        lack="cannot share a device (exclusive=0, from Linux 6.18 on)",
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

_UNCLEARED = {
    False: "this kernel does not clear the memory that it allocates",
    None: "it cannot be seen whether this kernel clears the memory that it allocates, "
    "neither in its log nor in its configuration in /boot",
}


class _LackError(OSError):
    """This kernel cannot have a readers' backstore of a kind; ``words`` say why."""

    def __init__(self, folder: str, words: str) -> None:
        number = errno.EOPNOTSUPP
        super().__init__(number, os.strerror(number), folder)
        self.words = words


def places(target: str) -> list[str]:
    """Give the folders in which a target's readers' backstore may be."""
    return [backstores.place(name_of(target), kind.hba) for kind in _KINDS]


def find(target: str) -> str | None:
    """Give the folder of a target's readers' backstore; None if there is none."""
    found = [folder for folder in places(target) if os.path.isdir(folder)]
    return max(found, key=backstores.active, default=None)


def existing(target: str) -> str:
    """Give the folder of a target's readers' backstore.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = find(target)
    if folder is None:
        raise FileNotFoundError(errno.ENOENT, "", places(target)[0])
    return folder


def targets() -> list[str]:
    """List the targets whose readers' backstores are on this node."""
    names = {
        name.removesuffix(_SUFFIX)
        for kind in _KINDS
        for hba in backstores.hbas(kind.hba)
        for name in files.entries(hba)
        if name.endswith(_SUFFIX)
    }
    return [name for name in names if find(name)]


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
        folder = backstores.place(f"trial-{secrets.token_hex(8)}", kind.hba)
        try:
            _begin(kind, folder)
        except _LackError as lack:
            lacks.append(f"its module {kind.module} {lack.words}")
        except (OSError, KernelRefused) as error:
            lacks.append(f"its module {kind.module} cannot be had ({error})")
        else:
            return ""
        finally:
            _remove(folder)
    return ", and ".join(lacks)


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
            files.put(f"{folder}/control", f"{kind.device}={node}")
            files.put(f"{folder}/udev_path", path)
            files.put(f"{folder}/enable", "1")
    except OSError:
        _remove(folder)
        raise
    return folder


def _begin(kind: _Kind, folder: str) -> None:
    """Make it, tell it what it is to be, and see whether it knows that.

    Raises:
        _LackError: it does not, or the kernel cannot bear it.
    """
    backstores.make_hba(os.path.dirname(folder), kind.module)
    files.make(folder)
    files.put(f"{folder}/control", kind.wanted)
    if kind.said not in (files.get(f"{folder}/info") or ""):
        raise _LackError(folder, kind.lack)
    if kind.takes_cleared_memory and not (cleared := memory.is_cleared()):
        raise _LackError(
            folder, f"does not set all of a request, and {_UNCLEARED[cleared]}"
        )


def _harden(folder: str) -> None:
    refused = backstores.refuses(folder, CHANGING)
    for name in CHANGING:
        if name not in refused:
            files.put(f"{folder}/attrib/{name}", "0")


def _remove(folder: str) -> None:
    if os.path.isdir(os.path.dirname(folder)):
        backstores.remove_folder(folder)
