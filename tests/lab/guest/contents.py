# SPDX-License-Identifier: Apache-2.0
"""What servers put on a shared disk, by the tools that they have for it."""

import os
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from lab.guest import volume
from lab.guest.system import run
from taikun_cinder.contents import look as look_at
from tests.lab.guest import processes

_MEBIBYTE = 1 << 20

#: Lets LVM look at a host's disk, which the storage node's own must not.
_HOSTS_LVM = (
    "--config",
    'devices{global_filter=["a|^/dev/sd|","r|.*|"] use_devicesfile=0} '
    "backup{backup=0 archive=0}",
)
_GROUP = "of-a-host"

#: Where LVM's metadata is on a disk, as it makes it.
_AREA = 4096

#: Commands that need no more than the disk, by what they make.
_COMMANDS = {
    "blank": "true",
    "ext4": "mkfs.ext4 -q -F {}",
    "xfs": "mkfs.xfs -q -f {}",
    "btrfs": "mkfs.btrfs -q -f {}",
    "vfat": "mkfs.vfat -I {}",
    "swap": "mkswap -q {}",
    "LUKS": "printf key | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 "
    "--pbkdf-force-iterations 1000 {} -",
    "OCFS2": "yes | mkfs.ocfs2 -q -N 2 -J size=8M --cluster-stack=o2cb "
    "--cluster-name=lab {}",
    "OCFS2 for one": "yes | mkfs.ocfs2 -q -N 1 -J size=8M -M local {}",
    "GFS2": "mkfs.gfs2 -q -O -p lock_dlm -t lab:shared -j 1 -J 8 {}",
    "GFS2 for one": "mkfs.gfs2 -q -O -p lock_nolock -j 1 -J 8 {}",
    "GPT": "printf 'label: gpt\\nsize=64M\\nsize=64M\\n' | sfdisk -q {}",
    "GPT with ext4": "printf 'label: gpt\\nsize=64M\\nsize=64M\\n' | sfdisk -q {0}; "
    "udevadm settle; mkfs.ext4 -q -F {0}2",
    "MBR with ext4": "printf 'label: dos\\nsize=64M\\ntype=5\\nsize=64M\\n' | "
    "sfdisk -q {0}; udevadm settle; mkfs.ext4 -q -F {0}5",
    "unknown": "dd if=/dev/urandom of={} bs=1M count=4 conv=fsync",
}


def fill(path: str, what: str) -> None:
    """Put something on a disk, and nothing else; all of it is on the disk then.

    Raises:
        RuntimeError: a tool failed.
    """
    _wipe(path)
    if what == "half of ext4":
        fill(path, "ext4")
        _write(path, {1024: bytes(60), 1084: bytes(200)})
    elif what.startswith("LVM"):
        _make_group(path, "sanlock" if what == "LVM of several" else None)
    else:
        run("sh", "-ec", _COMMANDS[what].format(path))
    run("sync")


def _wipe(path: str) -> None:
    size = int(run("blockdev", "--getsize64", path))
    _write(path, {0: bytes(8 * _MEBIBYTE), size - _MEBIBYTE: bytes(_MEBIBYTE)})
    for at in (64 * _MEBIBYTE, 66 * _MEBIBYTE):  # where partitions were
        _write(path, {at: bytes(_MEBIBYTE)})
    run("blockdev", "--rereadpt", path)


def _write(path: str, pieces: dict[int, bytes]) -> None:
    with Path(path).open("r+b", buffering=0) as disk:
        for at, content in pieces.items():
            disk.seek(at)
            disk.write(content)
        os.fsync(disk.fileno())


def _make_group(path: str, lock: str | None) -> None:
    """Make a volume group on a disk, as one that lvmlockd has if that is wanted."""
    run("pvcreate", *_HOSTS_LVM, "-ff", "--yes", path)
    run("vgcreate", *_HOSTS_LVM, _GROUP, path)
    if lock is None:
        return
    # LVM makes such a group only where lvmlockd runs, so this is its hand.
    metadata = Path(path).read_bytes()[_AREA : _AREA + _MEBIBYTE]
    at, size = (
        int.from_bytes(metadata[part : part + 8], "little") for part in (40, 48)
    )
    own = b"flags = []\n"
    text = metadata[at : at + size].replace(
        own, own + f'lock_type = "{lock}"\n'.encode()
    )
    header = bytearray(metadata[:512])
    header[48:60] = len(text).to_bytes(8, "little") + _checksum(text)
    header[:4] = _checksum(bytes(header[4:]))
    _write(path, {_AREA: bytes(header), _AREA + at: text})
    said = run(
        "vgs", *_HOSTS_LVM, "--shared", "--nolocking", "-o", "vg_lock_type", _GROUP
    )
    if lock not in said:
        raise RuntimeError(f"LVM does not take it for a shared group: {said}")


def _checksum(content: bytes) -> bytes:
    """Give LVM's, which begins with a number of its own (lib/misc/crc.c)."""
    begin = 0xF597A6CF ^ 0xFFFFFFFF
    return (zlib.crc32(content, begin) ^ 0xFFFFFFFF).to_bytes(4, "little")


def look(device: str) -> list[str]:
    """Look at a logical volume as the driver does; give what is there, in words."""
    seen = look_at(device)
    return [seen.failure] if seen.failure else [str(one) for one in seen.contents]


def look_again() -> None:
    """Let the next pass look at all volumes, however short ago it has."""
    volume.backend().manager.driver._reconcile.shared._looked.clear()


def endangered() -> dict[str, str]:
    """Let a pass and its looks be over; give what is endangered, by volume."""
    backend = volume.backend()
    backend.reconcile()
    shared = backend.manager.driver._reconcile.shared
    shared.look()
    return {one: it.found for one, it in shared.endangered.items()}


def attach_while_it_hangs(
    volume_id: str, connector: dict[str, Any], other: str, others: dict[str, Any]
) -> dict[str, Any]:
    """Attach a volume whose disk hangs, and beside it another one.

    Returns:
        ``error`` and ``seconds`` of the first; ``looking``: the users and capabilities
        of the program that looks, meanwhile; ``beside``: the seconds of the other.
    """
    told: dict[str, Any] = {"error": ""}

    def attach() -> None:
        start = time.monotonic()
        try:
            volume.call("attach", volume_id, connector)
        except Exception as error:
            told["error"] = str(error)
        told["seconds"] = time.monotonic() - start

    waits = threading.Thread(target=attach)
    waits.start()
    deadline = time.monotonic() + 10
    while not (looking := processes.identities("probe.py")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    time.sleep(1)
    told["looking"] = processes.identities("probe.py") or looking
    start = time.monotonic()
    volume.call("attach", other, others)
    told["beside"] = time.monotonic() - start
    waits.join()
    return told


def looking() -> int:
    """Count the programs that look."""
    return len(processes.identities("probe.py"))
