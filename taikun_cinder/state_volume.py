# SPDX-License-Identifier: Apache-2.0
"""The state volume: the small logical volume that a group's own records lie on.

Where a volume group moves between nodes, the records of its exports have to move with
it. So ``taikun_state_path`` is on a file system on a logical volume of the group, which
the cluster manager mounts where it starts the group. LVM's lock lets one node have that
volume. So where it is mounted is where the group is started, by the kernel's word, and
nothing of that outlives a power cut.
"""

import contextlib
import dataclasses
import os
import re
from pathlib import Path

#: Where the kernel tells about a block device by its number.
_DEVICES = Path("/sys/dev/block")

#: What moves nowhere, though it may be on a logical volume.
_ROOT = Path("/")

#: Device mapper's name of a logical volume: LVM doubles each - in the two names.
_NAME = re.compile(r"((?:[^-]|--)+)-(?:[^-]|--)+")


@dataclasses.dataclass(frozen=True)
class StateVolume:
    """A logical volume that a folder lies on.

    Attributes:
        group: its volume group.
        uuid: as device mapper has it: LVM's of the group and of the volume. A copy has
            another one.
    """

    group: str
    uuid: str


def below(folder: Path) -> StateVolume | None:
    """Give the logical volume that a folder lies on, as this process sees it.

    Args:
        folder: it may not be there yet.

    Returns:
        None for any other disk, and for the node's root file system, which moves
        nowhere.
    """
    try:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        number = os.stat(place).st_dev
        if number == os.stat(_ROOT).st_dev:
            return None
    except OSError:
        return None
    device = _DEVICES / f"{os.major(number)}:{os.minor(number)}" / "dm"
    with contextlib.suppress(OSError):
        uuid = (device / "uuid").read_text().strip()
        name = _NAME.fullmatch((device / "name").read_text().strip())
        if name and uuid.startswith("LVM-"):
            return StateVolume(name[1].replace("--", "-"), uuid)
    return None


def of_group(folder: Path, group: str) -> str:
    """Give the UUID of the group's volume that a folder lies on; empty for none."""
    found = below(folder)
    return found.uuid if found and found.group == group else ""
