# SPDX-License-Identifier: Apache-2.0
"""Disks in files, with what real tools write to disks, and what they do not."""

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

MEBIBYTE = 1 << 20

#: By the name of a disk: its size in MiB, and the command that fills it. ``{}`` is the
#: file.
COMMANDS = {
    "ext4": (16, "mkfs.ext4 -q {}"),
    "ext2": (16, "mkfs.ext2 -q {}"),
    "xfs": (320, "mkfs.xfs -q {}"),
    "btrfs": (128, "mkfs.btrfs -q {}"),
    "vfat": (64, "mkfs.vfat {}"),
    "swap": (16, "mkswap -q {}"),
    "crypto_LUKS": (
        32,
        "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 "
        "--pbkdf-force-iterations 1000 {} -",
    ),
    "ocfs2": (64, "mkfs.ocfs2 -q -F --cluster-stack=o2cb --cluster-name=lab {}"),
    "ocfs2 local": (64, "mkfs.ocfs2 -q -F -M local {}"),
    "gfs2": (64, "mkfs.gfs2 -q -O -p lock_dlm -t lab:shared -j 1 {}"),
    "gfs2 local": (64, "mkfs.gfs2 -q -O -p lock_nolock -j 1 {}"),
}

#: The beginning of LVM's metadata as it is on a disk (lib/format_text/export.c).
_VG = """vg {{
id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"{status}]
flags = []
{lock}extent_size = 8192
"""


def blank(path: Path, size: int) -> Path:
    """Make a disk with nothing on it, of a size in MiB."""
    with path.open("wb") as file:
        file.truncate(size * MEBIBYTE)
    return path


def filled(path: Path, name: str) -> Path:
    """Make one of ``COMMANDS``; skip the test where the tool for it is missing."""
    size, command = COMMANDS[name]
    _run(command.format(blank(path, size)))
    return path


def _run(command: str, said: str = "y\n") -> None:
    name, *arguments = command.split()
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        pytest.skip(f"{name} is not here (bindep.txt names its package)")
    whole = [found, *arguments]
    done = subprocess.run(
        whole, input=said, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def partitioned(path: Path, label: str, parts: dict[int, Path]) -> Path:
    """Make a disk with a partition table, and other disks in some of its partitions.

    Args:
        path: the disk.
        label: ``gpt``, or ``dos``, whose second partition is an extended one.
        parts: the other disks, by the number of the partition.
    """
    table = "label: gpt\nsize=64M\nsize=350M\n"
    if label == "dos":
        table = "label: dos\nsize=64M\ntype=5\nsize=350M\n"
    _run(f"sfdisk -q {blank(path, 512)}", table)
    dump = subprocess.run(
        ["/usr/sbin/sfdisk", "-d", path], capture_output=True, text=True, check=True
    ).stdout.replace(" ", "")
    for number, part in parts.items():
        (start,) = (
            line.partition("start=")[2].partition(",")[0]
            for line in dump.splitlines()
            if line.startswith(f"{path}{number}:")
        )
        put(path, int(start) * 512, part.read_bytes())
    return path


def put(path: Path, place: int, content: bytes) -> Path:
    """Write to a disk, and leave holes where there are long rows of zeroes."""
    with path.open("r+b") as file:
        for begin in range(0, len(content), MEBIBYTE):
            piece = content[begin : begin + MEBIBYTE]
            if len(content) <= MEBIBYTE or any(piece):
                file.seek(place + begin)
                file.write(piece)
    return path


def physical_volume(path: Path, lock: str = "", status: str = "", at: int = 0) -> Path:
    """Make a disk of a volume group of LVM.

    Args:
        path: the disk.
        lock: how servers share the group, ``lock_type``.
        status: a further flag of the group.
        at: where the text begins in its area; it goes on at the beginning of the area
            where it comes to its end.
    """
    area, length = 4096, 65536
    flags = f', "{status}"' if status else ""
    locked = f'lock_type = "{lock}"\nlock_args = "1.0.0:lvm"\n' if lock else ""
    text = _VG.format(status=flags, lock=locked).encode() + bytes(1)
    at = at or 512
    places = ((1 << 20, 0), (0, 0), (area, length), (0, 0))
    header = b"i" * 32 + (64 << 20).to_bytes(8, "little")
    header += b"".join(_little(one, 8) for pair in places for one in pair)
    body = _little(32, 4) + b"LVM2 001" + header
    body = body.ljust(512 - 20, b"\0")
    label = b"LABELONE" + _little(1, 8) + _little(_checksum(body), 4) + body
    metadata = b" LVM2 x[5A%r0N*>" + _little(1, 4) + _little(area, 8)
    metadata += _little(length, 8) + _little(at, 8) + _little(len(text), 8)
    put(blank(path, 64), 512, label)
    put(path, area, _little(_checksum(metadata.ljust(508, b"\0")), 4) + metadata)
    put(path, area + at, text[: length - at])
    return (
        put(path, area + 512, text[length - at :]) if at + len(text) > length else path
    )


def _little(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")


def _checksum(content: bytes) -> int:
    """Give LVM's, which begins with a number of its own (lib/misc/crc.c)."""
    begin = 0xF597A6CF ^ 0xFFFFFFFF
    return zlib.crc32(content, begin) ^ 0xFFFFFFFF
