# SPDX-License-Identifier: Apache-2.0
"""Sends a disk every command there is, as its root user can, and sees who is harmed.

LIO's commands are in the tables of the kernel's target_core_sbc.c (sbc_parse_cdb()) and
target_core_spc.c (spc_parse_cdb(), tcm_supported_opcodes). All opcodes are sent, so
that those of another version of the kernel are among them.
"""

import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator

from lab.guest import blocks
from lab.guest.disk import look_again
from taikun_cinder.targets.lio.target import LioTarget

_SG_IO, _SG_SCSI_RESET = 0x2285, 0x2284
_RESET_OF_DEVICE = 1
_SECONDS = 20

#: The directions that a host can announce, by the numbers of the kernel's scsi/sg.h.
DIRECTIONS = {"none": -1, "out": -2, "in": -3, "both": -4}
_BUFFER = 4096

#: Where the commands aim, in blocks of 512 bytes.
_LBA = 64
#: What is compared: the beginning of the volume, in bytes.
_WATCHED = 256 << 10
#: Where the writer writes meanwhile, in blocks of 4 KiB: behind what is compared.
_WRITERS = 300

_PR_IN, _FULL_STATUS = 0x5E, 3
_PR_OUT, _REGISTER, _RESERVE, _WRITE_EXCLUSIVE = 0x5F, 0, 1, 1
_REPORT_GROUPS = bytes([0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
#: Of the opcodes that have service actions, which are in the second byte.
_WITH_ACTIONS = (0x5E, 0x5F, 0x83, 0x84, 0x9E, 0x9F, 0xA3, 0xA4)
_WRITE_SAME = (0x41, 0x93)


class _Header(ctypes.Structure):
    """``sg_io_hdr`` of the kernel's scsi/sg.h."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


class Disk:
    """A disk, for any command.

    Not by its generic node: that one takes no command in both directions.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._node = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def send(
        self, cdb: bytes, direction: str, data: bytes = b"\xa5" * _BUFFER
    ) -> tuple[int, bytes]:
        """Send a command; give its status, and the data that came."""
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        command = ctypes.create_string_buffer(cdb, len(cdb))
        sense = ctypes.create_string_buffer(64)
        none = direction == "none"
        header = _Header(
            interface_id=ord("S"),
            dxfer_direction=DIRECTIONS[direction],
            cmd_len=len(cdb),
            mx_sb_len=len(sense),
            dxfer_len=0 if none else len(data),
            dxferp=None if none else ctypes.addressof(buffer),
            cmdp=ctypes.addressof(command),
            sbp=ctypes.addressof(sense),
            timeout=_SECONDS * 1000,
        )
        fcntl.ioctl(self._node, _SG_IO, header)
        if header.host_status:
            return 0x100 | header.host_status, b""
        return header.status, buffer.raw[: len(data) - header.resid]

    def reset(self) -> None:
        """Let the initiator reset the logical unit."""
        what = ctypes.c_int(_RESET_OF_DEVICE)
        fcntl.ioctl(self._node, _SG_SCSI_RESET, what)

    def close(self) -> None:
        os.close(self._node)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """All that a host must not change for others.

    Attributes:
        content: of the volume.
        reservations: that the writer sees.
        paths: the states of its paths.
    """

    content: bytes
    reservations: bytes
    paths: bytes


def commands() -> Iterator[bytes]:
    """Give a command for each opcode and length, and for each service action."""
    for opcode in range(256):
        for blocks_ in (1, 8, 24):
            yield _command(opcode, 0, blocks_)
    for opcode in _WITH_ACTIONS:
        for action in range(1, 32):
            yield _command(opcode, action, 24)
    for opcode in _WRITE_SAME:
        # NDOB, UNMAP, ANCHOR, and UNMAP with NDOB
        for flags in (0x01, 0x08, 0x10, 0x18, 0x09):
            yield _command(opcode, flags, 8)
    for action in range(32):
        for flags in (0, 0x08):
            yield _long(action, flags)


def _command(opcode: int, second: int, length: int) -> bytes:
    group = opcode >> 5
    head = bytes([opcode, second])
    if group == 0:
        return head + bytes([0, _LBA, length, 0])
    if group == 4:
        return head + _LBA.to_bytes(8) + length.to_bytes(4) + bytes(2)
    if group == 5:
        return head + _LBA.to_bytes(4) + length.to_bytes(4) + bytes(2)
    return head + _LBA.to_bytes(4) + bytes(1) + length.to_bytes(2) + bytes(1)


def _long(action: int, flags: int) -> bytes:
    head = bytes([0x7F, 0, 0, 0, 0, 0, 0, 0x18]) + action.to_bytes(2)
    return head + bytes([flags, 0]) + _LBA.to_bytes(8) + bytes(8) + (8).to_bytes(4)


def protect_main_disks() -> None:
    """Let a driver give readers the main disk, as it does where it has to."""
    setattr(LioTarget, "can_show_readers_disk", lambda self: False)  # noqa: B010


def walk(reader: str, writer: str, device: str, reserved: bool) -> dict[str, list[str]]:
    """Send all commands in all directions by one host; see what others notice.

    Args:
        reader: its disk.
        writer: the disk of another host, which writes after each command.
        device: the volume, on the storage node.
        reserved: whether the writer has reserved the disk for itself.

    Returns:
        by what was harmed, the commands that did it; and how many were sent.
    """
    host, other = Disk(reader), Disk(writer)
    _fill(device)
    if reserved:
        _reserve(other)
    was = _look(other, device)
    harmed: dict[str, list[str]] = {}
    sent = 0
    for cdb in commands():
        sent += _send(host, cdb)
        for what in _harm(other, device, was):
            harmed.setdefault(what, []).append(cdb.hex(" "))
            _mend(host, other, device, was, reserved)
    with contextlib.suppress(OSError):
        host.reset()
    for what in _harm(other, device, was):
        harmed.setdefault(what, []).append("a reset of the logical unit")
    if reserved:
        _release(other)
    host.close()
    other.close()
    return {**harmed, "sent": [str(sent)]}


def _send(host: Disk, cdb: bytes) -> int:
    """Send a command in all directions; give in how many the host's kernel let it."""
    sent = 0
    for direction in DIRECTIONS:
        with contextlib.suppress(OSError):
            host.send(cdb, direction)
            sent += 1
    return sent


def _harm(other: Disk, device: str, was: _Seen) -> Iterator[str]:
    try:
        blocks.write(other.path, _WRITERS, "by the writer")
    except OSError as error:
        yield f"writes ({errno.errorcode[error.errno or 0]})"
    now = _look(other, device)
    for field in dataclasses.fields(_Seen):
        if getattr(now, field.name) != getattr(was, field.name):
            yield field.name


def _mend(host: Disk, other: Disk, device: str, was: _Seen, reserved: bool) -> None:
    if _content(device) != was.content:
        _fill(device)
    for release in (_command(0x17, 0, 0), _command(0x57, 0, 0)):
        host.send(release, "none")
    # A kernel that asked for the size while another host had the disk reserved was
    # refused, and takes the disk for empty until it asks again.
    look_again(other.path)
    if reserved and _look(other, device).reservations != was.reservations:
        _release(other)
        _reserve(other)


def _look(other: Disk, device: str) -> _Seen:
    return _Seen(
        _content(device),
        _asked(other, _command(_PR_IN, _FULL_STATUS, 512)),
        _asked(other, _REPORT_GROUPS),
    )


def _asked(disk: Disk, cdb: bytes) -> bytes:
    """Ask until it answers: a unit attention may come first."""
    for _ in range(5):
        status, data = disk.send(cdb, "in", bytes(512))
        if not status:
            return data
    raise RuntimeError(f"{disk.path} does not answer {cdb.hex()}: status {status}")


def _content(device: str) -> bytes:
    with mmap.mmap(-1, _WATCHED) as page:
        node = os.open(device, os.O_RDONLY | os.O_DIRECT)
        try:
            os.preadv(node, [page], 0)
        finally:
            os.close(node)
        return page[:]


def _fill(device: str) -> None:
    """Write what no command writes by chance."""
    with mmap.mmap(-1, _WATCHED) as page:
        page.write(_pattern())
        node = os.open(device, os.O_WRONLY | os.O_DIRECT | os.O_SYNC)
        try:
            os.pwrite(node, page, 0)
        finally:
            os.close(node)


def _pattern() -> bytes:
    return (bytes(range(1, 256)) * (_WATCHED // 255 + 1))[:_WATCHED]


_KEY = (0x1234).to_bytes(8)


def _reserve(disk: Disk) -> None:
    """Register the host and reserve the disk for it: only it may write."""
    _reservation(disk, _REGISTER, 0, bytes(8) + _KEY)
    _reservation(disk, _RESERVE, _WRITE_EXCLUSIVE, _KEY + bytes(8))


def _release(disk: Disk) -> None:
    _reservation(disk, _REGISTER, 0, _KEY + bytes(8))


def _reservation(disk: Disk, action: int, kind: int, keys: bytes) -> None:
    cdb = bytes([_PR_OUT, action, kind, 0, 0, 0, 0, 0, 24, 0])
    for _ in range(5):
        status, _data = disk.send(cdb, "out", keys + bytes(8))
        if not status:
            return
    raise RuntimeError(f"a reservation on {disk.path} ended in status {status}")
