# SPDX-License-Identifier: Apache-2.0
"""The imitated ACLs of a TPG, and the LUNs that they show.

From target_core_fabric_configfs.c, target_core_tpg.c and iscsi_target_configfs.c.
"""

import errno

from tests.unit.privsep.configfs import Attribute, Folder, number, refuse
from tests.unit.privsep.tpg import Entry, Lun, Node, Tpg, lun_index


class Acls(Folder):
    """The ACLs of a TPG."""

    def __init__(self, tpg: Tpg) -> None:
        super().__init__()
        self._tpg = tpg

    def make_group(self, name: str) -> Folder:
        node = self._tpg.nodes.setdefault(name, Node(name))
        node.dynamic = False  # core_tpg_add_initiator_node_acl(); its LUNs stay
        return Acl(self._tpg, node)


class Acl(Folder):
    """An ACL."""

    def __init__(self, tpg: Tpg, node: Node) -> None:
        super().__init__()
        self.tpg, self.node = tpg, node
        self.attributes["info"] = Attribute(self._info)
        self.attributes["cmdsn_depth"] = Attribute(
            lambda: f"{node.depth}\n", self._put_depth
        )
        self.add_default("param")
        self.add_default("fabric_statistics")
        self.add_default("auth").attributes |= node.auth.attributes()
        self.add_default("attrib").attributes["authentication"] = Attribute(
            lambda: f"{node.authentication}\n", self._put_authentication
        )

    def make_group(self, name: str) -> Folder:
        return MappedLun(self, lun_index(name))

    def release(self) -> None:
        self.tpg.end_session(self.node)
        self.tpg.nodes.pop(self.node.name, None)

    def _info(self) -> str:
        if self.node.session is None:
            what = "No active iSCSI Session for Initiator Endpoint"
            return f"{what}: {self.node.name}\n"
        return (
            f"InitiatorName: {self.node.name}\nLIO Session ID: 1   ISID: 0x00\n"
            "CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n"
            "   Address 192.0.2.200 TCP  StatSN: 0x00000001\n"
        )

    def _put_depth(self, text: str) -> None:
        """Do core_tpg_set_initiator_node_queue_depth()."""
        wanted = number(text, *range(1, 513))
        if wanted != self.node.depth:
            self.node.depth = wanted
            self.tpg.end_session(self.node)

    def _put_authentication(self, text: str) -> None:
        self.node.authentication = number(text, -1, 0, 1)


class MappedLun(Folder):
    """A LUN as one ACL shows it."""

    def __init__(self, acl: Acl, index: int) -> None:
        super().__init__()
        self._acl, self._index = acl, index
        self.attributes["write_protect"] = Attribute(self._show, self._put)
        self.add_default("statistics")

    @property
    def _entry(self) -> Entry | None:
        return self._acl.node.entries.get(self._index)

    def allow_link(self, to: Folder) -> None:
        if not isinstance(to, Lun):
            refuse(errno.EFAULT)
        if to.backstore is None or to.tpg is not self._acl.tpg:
            refuse(errno.EINVAL)
        entry = self._entry
        if entry is not None and (entry.mapped or entry.lun is not to):
            refuse(errno.EINVAL)
        tpg = self._acl.tpg
        begins = bool(tpg.attrib["prod_mode_write_protect"])
        read_only = begins if entry is None else entry.read_only
        self._acl.node.entries[self._index] = Entry(to, read_only, mapped=True)

    def drop_link(self, to: Folder) -> None:
        self._acl.node.entries.pop(self._index, None)

    def _show(self) -> str:
        return "" if self._entry is None else f"{int(self._entry.read_only)}\n"

    def _put(self, text: str) -> None:
        wanted = bool(number(text, 0, 1))
        if self._entry is not None:
            self._entry.read_only = wanted
