# SPDX-License-Identifier: Apache-2.0
"""Where the reservations of a volume group are that moves between nodes.

Such a group has a state volume, which is mounted where the group is started
(``taikun_cinder.state_volume``). If its file system has a folder of root's for them,
they are there. Root looks for it by itself: whoever controls the user of cinder-volume
must not choose what the kernel writes to.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder.privsep import ours

#: The folder, at the top of the file system.
FOLDER = "reservations"

_MOUNTS = Path("/proc/self/mountinfo")
#: In device mapper's names of all that Cinder makes: the id.
_ID = re.compile(r"[0-9a-f]{8}--(?:[0-9a-f]{4}--){3}[0-9a-f]{12}")
_OCTAL = re.compile(r"\\([0-7]{3})")


def folder(group: str) -> Path | None:
    """Give the folder of a volume group; None if it has none that is root's alone."""
    begin = f"{group.replace('-', '--')}-"
    for number, place in _mounts():
        name = ours.mapped(Path(place), number) or ""
        # LVM doubles each - in the names: three are the end of another group's.
        if not name.startswith(begin) or name.startswith(f"{begin}-"):
            continue
        if _ID.search(name):
            continue  # what is in it is a tenant's, links of root's as well
        found = Path(place, FOLDER)
        # With another number, something else is mounted over it.
        if ours.is_roots_alone(found) and found.stat().st_dev == number:
            return found
    return None


def _mounts() -> Iterator[tuple[int, str]]:
    """Give the device of each file system that is mounted as a whole, and its place."""
    # The kernel writes blanks and \\n in names by their codes (seq_path()). What else
    # ends a line for Python may be in a name, and users mount, too (fusermount).
    for line in os.fsdecode(_MOUNTS.read_bytes()).split("\n")[:-1]:
        _, _, device, root, place, *_ = line.split(" ")
        if root == "/":
            major, _, minor = device.partition(":")
            path = _OCTAL.sub(lambda code: chr(int(code[1], 8)), place)
            yield os.makedev(int(major), int(minor)), path
