# SPDX-License-Identifier: Apache-2.0
"""Readers' backstores: the disks that show a volume to those who may only read it.

Such a backstore is of LIO's kind for files, since that does not ask to have the device
for itself, as the main one does. ``fd_async_io`` makes it read past all caches
(fd_execute_rw_aio() in target_core_file.c), so what is read is what was written last.
"""

import errno
import os
import secrets

from taikun_cinder.privsep import backstores, files, turns
from taikun_cinder.privsep.refusal import KernelRefused

_KIND, _MODULE = "fileio_", "target_core_file"

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

#: What the kernel says of a backstore that reads past all caches.
_PAST_CACHES = "Async: 1"


def place(target: str) -> str:
    """Give the folder of the readers' backstore of a target."""
    return backstores.place(f"{target}{_SUFFIX}", _KIND)


def targets() -> list[str]:
    """List the targets whose readers' backstores are on this node."""
    names = (
        name.removesuffix(_SUFFIX)
        for hba in backstores.hbas(_KIND)
        for name in files.entries(hba)
        if name.endswith(_SUFFIX)
    )
    return [name for name in names if os.path.isdir(place(name))]


def harden(target: str) -> None:
    """Refuse all that could change anything."""
    _harden(place(target))


def create(target: str, path: str, serial: str) -> None:
    """Make, configure and enable it, and leave nothing behind if that fails.

    Nobody sees it before it has a LUN, and until then it is hardened: the kernel gives
    some attributes their values only when it is enabled.
    """
    folder = place(target)
    if backstores.active(folder):
        if (backstores.device(folder), backstores.serial(folder)) != (path, serial):
            raise FileExistsError(errno.EEXIST, "", folder)
    else:
        try:
            _configure(folder, path, serial)
        except OSError:
            _remove(folder)
            raise
    _harden(folder)


def remove(target: str) -> None:
    """Remove it, whole or half-built."""
    _remove(place(target))


def lack() -> str:
    """Say what this kernel lacks for such backstores; empty if it is nothing."""
    folder = backstores.place(f"trial-{secrets.token_hex(8)}", _KIND)
    try:
        _make(folder)
        _read_past_caches(folder)
    except (OSError, KernelRefused) as error:
        if getattr(error, "errno", 0) == errno.EOPNOTSUPP:
            return f"its module {_MODULE} cannot read past caches (fd_async_io)"
        return f"its module {_MODULE} cannot be had ({error})"
    finally:
        _remove(folder)
    return ""


def _configure(folder: str, path: str, serial: str) -> None:
    node = backstores.own_device(path)
    with turns.of_hba(os.path.basename(os.path.dirname(folder))):
        _make(folder)
        files.put(f"{folder}/wwn/vpd_unit_serial", serial)
        _read_past_caches(folder)
        files.put(f"{folder}/control", f"fd_dev_name={node}")
        files.put(f"{folder}/udev_path", path)
        files.put(f"{folder}/enable", "1")


def _make(folder: str) -> None:
    backstores.make_hba(os.path.dirname(folder), _MODULE)
    files.make(folder)


def _read_past_caches(folder: str) -> None:
    """Ask for it, and look: a kernel before 4.18 takes the option and ignores it."""
    files.put(f"{folder}/control", "fd_async_io=1")
    if _PAST_CACHES not in (files.get(f"{folder}/info") or ""):
        number = errno.EOPNOTSUPP
        raise OSError(number, os.strerror(number), f"{folder}/control")


def _harden(folder: str) -> None:
    refused = backstores.refuses(folder, CHANGING)
    for name in CHANGING:
        if name not in refused:
            files.put(f"{folder}/attrib/{name}", "0")


def _remove(folder: str) -> None:
    if os.path.isdir(os.path.dirname(folder)):
        backstores.remove_folder(folder)
