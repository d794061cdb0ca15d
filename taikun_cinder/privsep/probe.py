# SPDX-License-Identifier: Apache-2.0
"""Tells what is on a disk, by libblkid: a program that ``look`` runs.

It reads what servers wrote, and servers may be hostile. So nothing of it is believed,
and whoever takes it over gets nothing by it. It has one disk open, to read, at its
standard input; before it reads it becomes a user that owns nothing, without any
capability, that can open no file or socket and start no process.

It imports nothing of this package, since ``look`` starts it without any packages, and
few of Python's modules: its start is most of what a look takes.

Each line that it prints is a kind of content, its detail or ``-``, and the number of
its partition or 0; see ``access.contents.Content``.
"""

import ctypes
import errno
import itertools
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence

#: Who it becomes, and of which group: nobody else is, by
#: https://systemd.io/UIDS-GIDS (65520 to 65533 are unused). Another process of the
#: same user could be killed by it, or be read.
USER = 65533

#: Its exit status where it could not look.
NO_LIBRARY, NOT_HARMLESS, UNREADABLE = 3, 4, 5

_DISK, _OUTPUT = 0, 1

#: linux/prctl.h
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_NO_NEW_PRIVS = 1, 4, 38
_CAPBSET_READ, _CAPBSET_DROP = 23, 24
_SIGKILL = 9

#: linux/capability.h
_CAP_KILL = 5

#: linux/sched.h
_CLONE_NEWIPC = 0x08000000

_CAPABILITIES = 64

#: The kernel's sectors, in which partitions are told (blkid_partition_get_start()).
_SECTOR = 512

#: What libblkid.h calls BLKID_SUBLKS_TYPE and BLKID_SUBLKS_MAGIC.
_WANTED = 1 << 5 | 1 << 9
_FOUND = 0

#: No more than these are looked at, or told.
_MOST_PARTITIONS, _MOST_SIGNATURES, _MOST_TOLD = 256, 16, 100


def _limits() -> Sequence[tuple[int, int]]:
    """Give the limits of the process, which are many times what it needs."""
    mebibyte = 1 << 20
    return (
        (resource.RLIMIT_CPU, 5),
        (resource.RLIMIT_AS, 256 * mebibyte),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, 0),
        # The files that it has stay open.
        (resource.RLIMIT_NOFILE, 0),
    )


def become_harmless() -> None:
    """Give all rights up.

    Raises:
        OSError: the kernel does not let it.
        ValueError: neither.
    """
    kernel = ctypes.CDLL(None, use_errno=True)
    prctl = kernel.prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    if os.geteuid() == 0:
        if prctl(_CAPBSET_READ, _CAP_KILL, 0, 0, 0) != 1:
            raise OSError(errno.EPERM, "nobody could end it if it hangs")
        # No limit counts System V's shared memory, which outlives a process, but not
        # its namespace. A kernel without these namespaces has to do.
        kernel.unshare(_CLONE_NEWIPC)
        for capability in range(_CAPABILITIES):
            if prctl(_CAPBSET_DROP, capability, 0, 0, 0):
                break  # the kernel knows no more, or root has not the right
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    # After the change of user, which takes back some of these.
    for option, value in (
        (_SET_NO_NEW_PRIVS, 1),
        (_SET_DUMPABLE, 0),
        (_SET_PDEATHSIG, _SIGKILL),
    ):
        if prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    for limit, most in _limits():
        _, hard = resource.getrlimit(limit)
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (lowest, lowest))


class UnreadableError(Exception):
    """The disk could not be read."""


class Probe:
    """An area of the disk, looked at by libblkid.

    Args:
        library: libblkid.
        start: where the area begins, in bytes.
        size: how long it is, in bytes; 0 for all the rest.

    Raises:
        UnreadableError: it cannot be looked at.
    """

    def __init__(self, library: ctypes.CDLL, start: int = 0, size: int = 0) -> None:
        self._library, self._start = library, start
        self._probe = ctypes.c_void_p(library.blkid_new_probe())
        if not self._probe:
            raise UnreadableError
        place = ctypes.c_int64(start), ctypes.c_int64(size)
        if library.blkid_probe_set_device(self._probe, _DISK, *place):
            raise UnreadableError
        library.blkid_probe_enable_superblocks(self._probe, 1)
        library.blkid_probe_set_superblocks_flags(self._probe, _WANTED)

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *error: object) -> None:
        # The library keeps all that it has read until then.
        self._library.blkid_free_probe(self._probe)

    def contents(self) -> Iterator[tuple[str, str]]:
        """Give kind and detail of all that is there.

        What libblkid takes for the one that counts (blkid_do_safeprobe()) is not
        enough: it ends at a member of a RAID, VMFS or LVM, and of several that it
        tolerates beside each other it gives the first. What is left over may be that.

        Raises:
            UnreadableError: the disk cannot be read.
        """
        for _ in range(_MOST_SIGNATURES):
            status = self._library.blkid_do_probe(self._probe)
            if status < 0:
                raise UnreadableError
            if status != _FOUND:
                return
            yield self._told()

    def _told(self) -> tuple[str, str]:
        kind, magic = self._value(b"TYPE"), self._value(b"SBMAGIC_OFFSET")
        detail = _DETAILS.get(kind)
        if detail is None or not magic.isdecimal():
            return kind, ""
        try:
            return kind, detail(self._start, self._start + int(magic))
        except (OSError, ValueError, OverflowError):
            return kind, ""

    def _value(self, name: bytes) -> str:
        value, length = ctypes.c_char_p(), ctypes.c_size_t()
        place = ctypes.byref(value), ctypes.byref(length)
        if self._library.blkid_probe_lookup_value(self._probe, name, *place):
            return ""
        return (value.value or b"").decode("ascii", "replace")

    def partitions(self) -> Iterator[tuple[int, int, int]]:
        """Give number, start and size, in bytes, of the partitions that have data."""
        library = self._library
        table = ctypes.c_void_p(library.blkid_probe_get_partitions(self._probe))
        if not table:
            return
        number = library.blkid_partlist_numof_partitions(table)
        for index in range(min(number, _MOST_PARTITIONS)):
            one = ctypes.c_void_p(library.blkid_partlist_get_partition(table, index))
            # An extended one only has others in it.
            if one and not library.blkid_partition_is_extended(one):
                yield (
                    library.blkid_partition_get_partno(one),
                    library.blkid_partition_get_start(one) * _SECTOR,
                    library.blkid_partition_get_size(one) * _SECTOR,
                )


def _of_ocfs2(_start: int, magic: int) -> str:
    """Say whether it was made with mkfs.ocfs2 -M local (ocfs2_fs.h)."""
    incompatible = _number(magic + 0xC0 + 32, 4)
    return "local" if incompatible & 0x8 else ""


def _of_gfs2(_start: int, magic: int) -> str:
    """Say whether it was made with mkfs.gfs2 -p lock_nolock (gfs2_ondisk.h)."""
    return "local" if os.pread(_DISK, 11, magic + 96) == b"lock_nolock" else ""


def _of_lvm2(start: int, magic: int) -> str:
    """Say whether its volume group is one of lvmlockd's or clvmd's.

    The forms are LVM's (lib/format_text/layout.h): a label in the first sectors leads
    to the places of the metadata, which is text; its beginning says how it is shared.
    """
    header = magic - 24 + _number(magic - 4, 4)
    said = [_text(start + area) for area in _metadata_areas(header + 32 + 8)]
    texts = [one for one in said if one]
    shared = all(any(map(_is_shared, one.split(b"\n"))) for one in texts)
    return "shared" if texts and shared else ""


def _text(place: int) -> bytes:
    """Give the beginning of the text in an area of metadata; empty if it has none.

    What is behind its end is older, perhaps of a group that is no more.
    """
    if os.pread(_DISK, 16, place + 4) != b" LVM2 x[5A%r0N*>":
        return b""
    size, text, length = (_number(place + at, 8) for at in (32, 40, 48))
    wanted = min(_LVM_TEXT, length)
    before_the_end = max(0, min(wanted, size - text))
    # It goes on behind the header where it comes to the end.
    return os.pread(_DISK, before_the_end, place + text) + os.pread(
        _DISK, wanted - before_the_end, place + _SECTOR
    )


def _is_shared(line: bytes) -> bool:
    """Say whether a line of LVM's text makes its group one that servers share."""
    clvmd = line.startswith(b"status = [") and b'"CLUSTERED"' in line
    return clvmd or line.strip() in _LVM_LOCKS


def _metadata_areas(place: int) -> Iterator[int]:
    """Give where a physical volume's areas of metadata begin, from its list of areas.

    The list has the areas of data first; each part of it ends with a zero.
    """
    ends = 0
    for index in range(_MOST_AREAS):
        begin = _number(place + 16 * index, 8)
        if begin and ends:
            yield begin
        ends += not begin


def _number(place: int, length: int) -> int:
    return int.from_bytes(os.pread(_DISK, length, place), "little")


#: How much of LVM's text is read, in bytes, and what it says of a group of lvmlockd's.
_LVM_TEXT, _MOST_AREAS = 4096, 8
_LVM_LOCKS = (b'lock_type = "sanlock"', b'lock_type = "dlm"', b'lock_type = "idm"')

#: What says more of a kind than libblkid does: where its area begins and where its
#: magic is, in bytes from the beginning of the disk, give its detail.
_DETAILS: dict[str, Callable[[int, int], str]] = {
    "ocfs2": _of_ocfs2,
    "gfs2": _of_gfs2,
    "LVM2_member": _of_lvm2,
}


def _library() -> ctypes.CDLL:
    """Load libblkid, whose interface has not changed since 2.20 (2011).

    Raises:
        OSError: it is not there.
    """
    library = ctypes.CDLL("libblkid.so.1")
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    declared: tuple[tuple[str, type | None, list[type]], ...] = (
        ("new_probe", pointer, []),
        ("probe_set_device", number, [pointer, number, size, size]),
        ("probe_enable_superblocks", number, [pointer, number]),
        ("probe_set_superblocks_flags", number, [pointer, number]),
        ("free_probe", None, [pointer]),
        ("do_probe", number, [pointer]),
        ("probe_lookup_value", number, [pointer, ctypes.c_char_p, pointer, pointer]),
        ("probe_get_partitions", pointer, [pointer]),
        ("partlist_numof_partitions", number, [pointer]),
        ("partlist_get_partition", pointer, [pointer, number]),
        ("partition_is_extended", number, [pointer]),
        ("partition_get_partno", number, [pointer]),
        ("partition_get_start", size, [pointer]),
        ("partition_get_size", size, [pointer]),
    )
    for name, result, arguments in declared:
        function = getattr(library, f"blkid_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def _contents(library: ctypes.CDLL) -> Iterator[tuple[str, str, int]]:
    """Give kind, detail and partition of all that is there.

    Raises:
        UnreadableError: the disk cannot be read.
    """
    # The kernel's cache may have what was there before: LIO writes past it, and holds
    # the disk open, so that the cache outlives who read. O_DIRECT is no way out:
    # libblkid reads in pieces that it takes since 2.40 only, and a read by it that
    # hangs cannot be killed.
    os.posix_fadvise(_DISK, 0, 0, os.POSIX_FADV_DONTNEED)
    end = os.lseek(_DISK, 0, os.SEEK_END)
    with Probe(library) as whole:
        for found in whole.contents():
            yield *found, 0
        partitions = list(whole.partitions())
    for number, start, size in partitions:
        if size > 0 and 0 < start < end:
            # Linux takes one that goes beyond the end for as long as the disk is.
            with Probe(library, start, min(size, end - start)) as one:
                for found in one.contents():
                    yield *found, number


def main() -> int:
    """Look, and print what was found; give the exit status."""
    try:
        library = _library()
    except (OSError, AttributeError):
        return NO_LIBRARY
    try:
        become_harmless()
    except (OSError, ValueError):
        return NOT_HARMLESS
    try:
        found = dict.fromkeys(itertools.islice(_contents(library), _MOST_TOLD))
    except (OSError, UnreadableError):
        return UNREADABLE
    lines = [f"{kind} {detail or '-'} {number}\n" for kind, detail, number in found]
    os.write(_OUTPUT, "".join(lines).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
