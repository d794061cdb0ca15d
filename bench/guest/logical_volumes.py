# SPDX-License-Identifier: Apache-2.0
"""Many small logical volumes at once, by writing LVM's metadata instead of lvcreate."""

import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab.guest.disks import DISKS
from lab.guest.system import run
from lab.plan import VOLUME_GROUP

_BACKUP = Path("/run/bench-metadata")

#: Of the physical volume: as many volumes are described in less than half of it.
_METADATA = "16m"


def make_room() -> None:
    """Make the volume group anew, with room for the metadata of many volumes."""
    disk = DISKS[VOLUME_GROUP]
    run("vgremove", "--yes", "--force", VOLUME_GROUP)
    run("pvremove", "--yes", "--force", disk)
    run("pvcreate", "--yes", "--metadatasize", _METADATA, disk)
    run("vgcreate", VOLUME_GROUP, disk)


def create(names: Sequence[str]) -> None:
    """Create logical volumes of one extent each at the end of the disk, and activate.

    Those that there are stay.
    """
    run("vgcfgbackup", "--file", str(_BACKUP), VOLUME_GROUP)
    text = _BACKUP.read_text()
    end = int(text.partition("pe_count = ")[2].split()[0])
    there = text.count('"bench-')
    new = [_volume(name, end - 1 - there - number) for number, name in enumerate(names)]
    if "logical_volumes {" in text:
        head, word, tail = text.partition("logical_volumes {")
    else:
        head, _brace, tail = text.rpartition("}")
        word, tail = "logical_volumes {", f"\n}}\n}}{tail}"
    _BACKUP.write_text(f"{head}{word}\n{''.join(new)}{tail}")
    run("vgcfgrestore", "--yes", "--force", "--file", str(_BACKUP), VOLUME_GROUP)
    run("vgchange", "--activate", "y", VOLUME_GROUP)
    run("udevadm", "settle", "--timeout=300")


def _volume(name: str, extent: int) -> str:
    digits = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    identity = "-".join(digits[a:b] for a, b in itertools.pairwise(cuts))
    return f"""\
{name} {{
id = "{identity}"
status = ["READ", "WRITE", "VISIBLE"]
tags = ["bench-{extent}"]
segment_count = 1
segment1 {{
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = ["pv0", {extent}]
}}
}}
"""
