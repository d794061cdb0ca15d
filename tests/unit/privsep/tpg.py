# SPDX-License-Identifier: Apache-2.0
"""An imitated TPG: its LUNs, and what it knows of initiators.

From target_core_tpg.c, target_core_device.c and target_core_fabric_configfs.c.
"""

import dataclasses
import errno

from tests.unit.privsep import chap
from tests.unit.privsep.configfs import Attribute, Folder, number, refuse
from tests.unit.privsep.target_core import Backstore

_INHERITED = -1

#: The attributes of a new TPG (TA_* in iscsi_target_core.h).
ATTRIBUTES = {
    "authentication": 1,
    "cache_dynamic_acls": 0,
    "demo_mode_discovery": 1,
    "demo_mode_write_protect": 1,
    "generate_node_acls": 0,
    "prod_mode_write_protect": 0,
}


@dataclasses.dataclass
class Entry:
    """A LUN as one initiator has it (``se_dev_entry``), from the first moment.

    Attributes:
        lun: the TPG's.
        read_only: whether writes are refused.
        mapped: whether a mapped LUN of an ACL made it, and not a login in demo mode.
    """

    lun: "Lun"
    read_only: bool
    mapped: bool


@dataclasses.dataclass
class Node:
    """What a TPG knows of an initiator (``se_node_acl``).

    Attributes:
        name: the initiator's, compared as it is written.
        dynamic: whether a login made it, so that it is in no folder.
        entries: its LUNs, by the index that it sees.
        session: whatever stands for the session that it has.
        depth: how many commands it may have under way.
    """

    name: str
    dynamic: bool = False
    entries: dict[int, Entry] = dataclasses.field(default_factory=dict)
    auth: chap.Auth = dataclasses.field(default_factory=chap.Auth)
    authentication: int = _INHERITED
    session: object = None
    depth: int = 64


class Tpg(Folder):
    """A TPG.

    Attributes:
        nodes: the initiators that it knows, by name.
        attrib: its attributes.
        demo_auth: the credentials of those without an ACL.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enabled = False
        self.nodes: dict[str, Node] = {}
        self.attrib = dict(ATTRIBUTES)
        self.demo_auth = chap.Auth()
        self.attributes |= {
            "enable": Attribute(lambda: f"{int(self.enabled)}\n", self._enable),
            "dynamic_sessions": Attribute(self._dynamic_sessions),
        }
        self._luns = self.add_default("lun", _Luns(self))
        self.add_default("param")
        self.add_default("auth").attributes |= self.demo_auth.attributes()
        files = self.add_default("attrib").attributes
        files |= {name: self._attribute(name) for name in self.attrib}

    @property
    def luns(self) -> list["Lun"]:
        """The LUNs."""
        return [lun for lun in self._luns.folders.values() if isinstance(lun, Lun)]

    def end_sessions(self) -> None:
        """End the sessions of all initiators."""
        for node in list(self.nodes.values()):
            self.end_session(node)

    def end_session(self, node: Node) -> None:
        """End the session of an initiator (transport_free_session())."""
        node.session = None
        if node.dynamic and not self.attrib["cache_dynamic_acls"]:
            del self.nodes[node.name]

    def show_all_luns(self, node: Node) -> None:
        """Do core_tpg_add_node_to_devs() for an initiator without an ACL."""
        read_only = bool(self.attrib["demo_mode_write_protect"])
        for lun in self.luns:
            if lun.backstore is not None and lun.index not in node.entries:
                node.entries[lun.index] = Entry(lun, read_only, mapped=False)

    def release(self) -> None:
        self.end_sessions()

    def _enable(self, text: str) -> None:
        wanted = bool(number(text, 0, 1))
        self.enabled = wanted
        if not wanted:
            self.end_sessions()

    def _dynamic_sessions(self) -> str:
        nodes = self.nodes.values()
        names = (node.name for node in nodes if node.dynamic and node.session)
        return "".join(f"{name}\n\0" for name in names)

    def _attribute(self, name: str) -> Attribute:
        def put(text: str) -> None:
            self.attrib[name] = number(text, 0, 1)
            if self.attrib["generate_node_acls"]:
                self.attrib["cache_dynamic_acls"] = 1

        return Attribute(lambda: f"{self.attrib[name]}\n", put)


class _Luns(Folder):
    def __init__(self, tpg: Tpg) -> None:
        super().__init__()
        self._tpg = tpg

    def make_group(self, name: str) -> Folder:
        return Lun(self._tpg, lun_index(name))


class Lun(Folder):
    """A LUN of a TPG.

    Attributes:
        backstore: what it is bound to.
    """

    def __init__(self, tpg: Tpg, index: int) -> None:
        super().__init__()
        self.tpg, self.index = tpg, index
        self.backstore: Backstore | None = None
        self.attributes["alua_tg_pt_gp"] = Attribute(self._alua)
        self.add_default("statistics")

    def allow_link(self, to: Folder) -> None:
        if not isinstance(to, Backstore):
            refuse(errno.EFAULT)
        if not to.configured:
            refuse(errno.ENODEV)
        if self.backstore is not None:
            refuse(errno.EEXIST)
        self.backstore = to
        to.exports += 1
        if self.tpg.attrib["generate_node_acls"]:
            for node in self.tpg.nodes.values():
                if node.dynamic:
                    self.tpg.show_all_luns(node)

    def drop_link(self, to: Folder) -> None:
        # core_clear_lun_from_tpg(): it goes from all initiators, and links stay.
        for node in self.tpg.nodes.values():
            entries = node.entries.items()
            node.entries = {
                index: entry for index, entry in entries if entry.lun is not self
            }
        if self.backstore is not None:
            self.backstore.exports -= 1
        self.backstore = None

    def _alua(self) -> str:
        bound = self.backstore is not None
        return "TG Port Alias: default_tg_pt_gp\n" if bound else refuse(errno.ENODEV)


def lun_index(name: str) -> int:
    """Read the index from the name of a LUN's folder."""
    if not name.startswith("lun_"):
        refuse(errno.EINVAL)
    return number(name.removeprefix("lun_"))
