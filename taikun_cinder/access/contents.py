# SPDX-License-Identifier: Apache-2.0
"""What is on a volume, and whether several servers may write to that at once.

The kinds are libblkid's, in its words, as blkid(8) and wipefs(8) print them.
"""

import dataclasses
from collections.abc import Iterable, Mapping

#: The details of a content that decide whether it is for one server.
LOCAL, SHARED = "local", "shared"

#: How many things a list in words has at most.
_MOST_LISTED = 5

_CLUSTER = "a cluster file system"
_NOBODY_WRITES = "nobody writes to it"

#: What several servers may have at once, by kind and detail, with the reason. All else
#: that libblkid knows is for one server. What it does not know is not told at all: a
#: database may be there that uses the disk as it is.
SHAREABLE: Mapping[tuple[str, str], str] = {
    ("ocfs2", ""): _CLUSTER,
    ("ocfs", ""): f"{_CLUSTER}, the one before OCFS2",
    ("gfs2", ""): _CLUSTER,
    ("gfs", ""): f"{_CLUSTER}, the one before GFS2",
    ("scoutfs_meta", ""): f"{_CLUSTER}, the disk of its metadata",
    ("scoutfs_data", ""): f"{_CLUSTER}, the disk of its data",
    ("VMFS", ""): f"{_CLUSTER}, that of ESXi",
    ("VMFS_volume_member", ""): f"a disk of a VMFS, {_CLUSTER}",
    ("vxfs", ""): "Veritas uses it in clusters too, and it does not say whether",
    ("oracleasm", ""): "the databases of a cluster agree on who writes what",
    ("LVM2_member", SHARED): "lvmlockd lets each of its volumes be used by those only "
    "that may",
    ("iso9660", ""): _NOBODY_WRITES,
    ("squashfs", ""): _NOBODY_WRITES,
    ("squashfs3", ""): _NOBODY_WRITES,
    ("cramfs", ""): _NOBODY_WRITES,
    ("romfs", ""): _NOBODY_WRITES,
    ("erofs", ""): _NOBODY_WRITES,
    ("DM_verity_hash", ""): _NOBODY_WRITES,
}


@dataclasses.dataclass(frozen=True, order=True)
class Content:
    """Something that was found on a volume.

    Attributes:
        kind: libblkid's name of it, such as ``ext4``.
        detail: ``local`` for a cluster file system that was made for one server,
            ``shared`` for a volume group of LVM that servers share; empty otherwise.
        partition: the number of the partition that it is on; 0 if it is on none, but
            on the volume itself.
    """

    kind: str
    detail: str = ""
    partition: int = 0

    @property
    def may_be_shared(self) -> bool:
        """Whether several servers may write to the volume for all that this says."""
        return (self.kind, self.detail) in SHAREABLE

    def __str__(self) -> str:
        kind = f"{self.kind} ({self.detail})" if self.detail else self.kind
        return f"{kind} on partition {self.partition}" if self.partition else kind


@dataclasses.dataclass(frozen=True)
class Look:
    """What came of a look at what is on a volume.

    Attributes:
        contents: what was found; nothing where the volume is blank, or nobody knows
            what is on it.
        failure: why it could not be looked at; empty if it could.
    """

    contents: tuple[Content, ...] = ()
    failure: str = ""

    @property
    def for_one_server(self) -> str:
        """What is for one server at a time, in words; empty if it is nothing."""
        return listed(one for one in self.contents if not one.may_be_shared)

    def __str__(self) -> str:
        return self.failure or listed(self.contents) or "nothing that libblkid knows"


def listed(things: Iterable[object]) -> str:
    """Name the first few things, and say how many more there are."""
    words = list(map(str, things))
    if len(words) > _MOST_LISTED:
        words[_MOST_LISTED - 1 :] = [f"{len(words) - _MOST_LISTED + 1} more"]
    return ", ".join(filter(None, [*words[:-2], " and ".join(words[-2:])]))
