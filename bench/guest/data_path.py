# SPDX-License-Identifier: Apache-2.0
"""Measures a host's disks by fio, and lists the attributes of their exports."""

import json
from collections.abc import Sequence
from pathlib import Path

from lab.guest.system import run
from lab.plan import VOLUME_GROUP

_ROOT = Path("/sys/kernel/config/target")


def learn_the_disk() -> None:
    """Make a volume that nobody needs, so that those after it have the same limits.

    When it is opened first, UML's disk says that it can write zeroes, until an lvcreate
    asks it to. That volume keeps what the disk said, and LIO makes the backstore's
    ``max_write_same_len`` of it (iblock_configure_device() in target_core_iblock.c).
    The disk would say so again if the volume were removed before there are others.
    """
    run("lvcreate", "--yes", "-L", "4m", "-n", "first", VOLUME_GROUP)


def fill(path: str, size: int) -> None:
    """Write the first ``size`` MiB of a disk, so that no block is a new one later."""
    run("dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={size}", "oflag=direct")


def measure(
    paths: Sequence[str], pattern: str, block: str, depth: int, size: int, seconds: int
) -> float:
    """Read or write on one disk, or on several at once, each in a part of its own.

    Args:
        paths: the disks; all of them are the same volume, on a host each.
        pattern: fio's: ``randread``, ``randwrite``, ``read`` or ``write``.
        block: the size of each, as ``4k``.
        depth: how many each host has under way.
        size: of a host's part, in MiB.
        seconds: how long.

    Returns:
        with a depth of 1 the seconds that one takes, on average over all hosts; else
        the seconds for each of all that are done, by all hosts together.
    """
    argv = ["fio", "--output-format=json", "--name=global", "--thread", "--direct=1"]
    argv += ["--ioengine=libaio", "--time_based", f"--runtime={seconds}"]
    argv += [
        f"--rw={pattern}",
        f"--bs={block}",
        f"--iodepth={depth}",
        f"--size={size}m",
    ]
    for number, path in enumerate(paths):
        argv += [f"--name=host-{number}", f"--filename={path}"]
        argv += [f"--offset={number * size}m"]
    said = run(*argv)
    jobs = json.loads(said[said.index("{") :])["jobs"]
    side = "read" if pattern.endswith("read") else "write"
    done = [job[side] for job in jobs]
    if depth == 1:
        number = sum(result["total_ios"] for result in done)
        waited = sum(result["clat_ns"]["mean"] * result["total_ios"] for result in done)
        return float(waited / number / 1e9)
    return float(1 / sum(result["iops"] for result in done))


def attributes(target: str) -> dict[str, str]:
    """Give all attributes of a target's TPG and backstore that may be chosen."""
    tpg = _ROOT / "iscsi" / target / "tpgt_1"
    links = [link for link in (tpg / "lun/lun_0").iterdir() if link.is_symlink()]
    (backstore,) = (link.resolve() for link in links)
    folders = {"backstore": backstore / "attrib", "TPG": tpg / "attrib"}
    folders["parameter"] = tpg / "param"
    return {
        f"{part} {file.name}": _read(file)
        for part, folder in folders.items()
        for file in sorted(folder.iterdir())
    }


def _read(attribute: Path) -> str:
    try:
        return attribute.read_text().strip()
    except OSError:
        return "not readable"
