# SPDX-License-Identifier: Apache-2.0
"""Hosts that log in to an imitated TPG, and all who could.

From iscsi_target_nego.c, iscsi_target_auth.c and core_tpg_check_initiator_node_acl().
"""

import contextlib
import dataclasses
import errno
from collections.abc import Collection, Iterator

from taikun_cinder.access.model import Credentials
from taikun_cinder.targets.lio.states import LUN
from tests.contract.world import LoginRefused
from tests.unit.privsep.target_core import Device
from tests.unit.privsep.tpg import Entry, Node, Tpg

#: What the kernel answers who reads from its virtual LUN 0: what is in its memory.
CHANCE = b"\x00of the node's memory\xfe"


@dataclasses.dataclass(frozen=True)
class Access:
    """One way to a device, as the kernel itself would let it be used.

    Attributes:
        initiator: the name to log in by; ``*`` for any.
        credentials: what has to be proved; None for nothing.
        index: of the LUN that is seen.
        device: the path of the device behind it.
        writing: whether this is about writing.
    """

    initiator: str
    credentials: tuple[str, str] | None
    index: int
    device: str
    writing: bool

    def is_covered(self, others: Collection["Access"]) -> bool:
        """Say whether others give at least as much."""
        names, proofs = {"*", self.initiator}, {None, self.credentials}
        return any(
            dataclasses.replace(self, initiator=name, credentials=proof) in others
            for name in names
            for proof in proofs
        )


class ImitatedSession:
    """A host that is logged in, with one LUN as its disk."""

    def __init__(self, tpg: Tpg, node: Node, index: int = LUN) -> None:
        self._tpg, self._node, self._index = tpg, node, index
        self._session: object = self

    def other(self, index: int) -> "ImitatedSession":
        """Give another disk of the same session."""
        found = ImitatedSession(self._tpg, self._node, index)
        found._session = self._session
        return found

    @property
    def alive(self) -> bool:
        """Whether the target has not ended it."""
        return self._node.session is self._session

    @property
    def serial(self) -> str:
        """The unit serial that the host reads from its disk."""
        backstore = self._entry().lun.backstore
        return "" if backstore is None else backstore.serial

    @property
    def device(self) -> str | None:
        """The path of the device that it has as its disk; None if it has none."""
        with contextlib.suppress(OSError):
            backstore = self._entry().lun.backstore
            return None if backstore is None else backstore.device_path
        return None

    @property
    def may_write(self) -> bool:
        """Whether its disk takes what it writes."""
        return self.device is not None and not self._entry().read_only

    def write(self, content: bytes) -> None:
        """Write to the disk."""
        if self._entry().read_only:
            raise OSError(errno.EREMOTEIO, "write protected")
        self._disk().content = content

    def read(self) -> bytes:
        """Read from the disk what was written last.

        What a LUN 0 that is not there answers is not the disk's: ``CHANCE``.
        """
        if self.alive and self._index == LUN and LUN not in self._node.entries:
            return CHANCE
        return self._disk().content

    def logout(self) -> None:
        """Log out."""
        if self.alive:
            self._tpg.end_session(self._node)

    def _entry(self) -> Entry:
        entry = self._node.entries.get(self._index) if self.alive else None
        if entry is None:
            raise OSError(errno.EIO, "there is no disk")
        return entry

    def _disk(self) -> Device:
        backstore = self._entry().lun.backstore
        if backstore is None or backstore.device is None:
            raise OSError(errno.EIO, "there is no disk")
        return backstore.device


def _required(tpg: Tpg, node: Node) -> bool:
    """Say whether a login has to prove anything (iscsi_conn_auth_required())."""
    inherited = node.dynamic or node.authentication < 0
    return bool(tpg.attrib["authentication"] if inherited else node.authentication)


def login(tpg: Tpg, name: str, proof: Credentials | None) -> ImitatedSession:
    """Log a host in to a TPG.

    Raises:
        LoginRefused: it is not let in.
    """
    node = tpg.nodes.get(name)
    if node is None:
        if not tpg.attrib["generate_node_acls"]:
            raise LoginRefused(f"there is no ACL for {name}")
        node = Node(name, dynamic=True)
    auth = tpg.demo_auth if node.dynamic else node.auth
    pair = None if proof is None else (proof.username, proof.password)
    # A host that is not asked for a proof of its own refuses to give one.
    if _required(tpg, node) and (auth.pair is None or auth.pair != pair or auth.mutual):
        raise LoginRefused(f"{name} did not prove that it is that")
    if name not in tpg.nodes:
        tpg.show_all_luns(node)
        tpg.nodes[name] = node
    return begin_session(tpg, node)


def begin_session(tpg: Tpg, node: Node) -> ImitatedSession:
    """Log a host in without asking; its session before is replaced."""
    session = ImitatedSession(tpg, node)
    node.session = session
    return session


#: What a login has to prove; None for nothing.
Proof = tuple[str, str] | None


def reachable(tpg: Tpg) -> Iterator[tuple[str, Proof, dict[int, Entry]]]:
    """Give by which names somebody can log in to a TPG, and what he has then."""
    for node in tpg.nodes.values():
        if node.name != node.name.lower():
            continue  # iscsi_target_locate_portal() turns a name to lower case
        auth = tpg.demo_auth if node.dynamic else node.auth
        # Nor is a target that is to prove itself, too, an obstacle to who wants in.
        if not _required(tpg, node) or auth.pair is not None:
            yield node.name, auth.pair if _required(tpg, node) else None, node.entries
    if tpg.attrib["generate_node_acls"]:
        anybody = Node("*", dynamic=True)
        tpg.show_all_luns(anybody)
        if not _required(tpg, anybody) or tpg.demo_auth.pair is not None:
            proof = tpg.demo_auth.pair if _required(tpg, anybody) else None
            yield "*", proof, anybody.entries


def access(tpg: Tpg) -> Iterator[Access]:
    """Give every way to a device that leads by a TPG."""
    for name, proof, entries in reachable(tpg):
        yield from _ways(name, proof, entries)


def _ways(name: str, proof: Proof, entries: dict[int, Entry]) -> Iterator[Access]:
    for index, entry in entries.items():
        if entry.lun.backstore is not None:
            path = entry.lun.backstore.device_path
            yield Access(name, proof, index, path, writing=False)
            if not entry.read_only:
                yield Access(name, proof, index, path, writing=True)
