# SPDX-License-Identifier: Apache-2.0
"""An imitation of the kernel's iSCSI target: TPGs, LUNs, ACLs and portals.

From target_core_fabric_configfs.c, target_core_tpg.c, target_core_device.c and
drivers/target/iscsi. Who logs in is in ``sessions``.
"""

import dataclasses
import errno
import ipaddress
import re
from collections.abc import Iterator

from taikun_cinder.access.model import Portal
from tests.unit.privsep.configfs import Attribute, Folder, number, refuse
from tests.unit.privsep.target_core import Backstore

_NAME = 224  # ISCSI_IQN_LEN and TRANSPORT_IQN_LEN
_SECRET = 256  # MAX_USER_LEN and MAX_PASS_LEN
_LAST_TAG = 65535
_INHERITED = -1

#: The attributes of a new TPG (TA_* in iscsi_target_core.h).
_ATTRIBUTES = {
    "authentication": 1,
    "cache_dynamic_acls": 0,
    "demo_mode_discovery": 1,
    "demo_mode_write_protect": 1,
    "generate_node_acls": 0,
    "prod_mode_write_protect": 0,
}


class Fabric(Folder):
    """The folder ``iscsi``, with all targets in it."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes["lio_version"] = Attribute(lambda: "Datera Inc.\n")
        self.add_default("discovery_auth")

    def make_group(self, name: str) -> Folder:
        return Target() if len(name) < _NAME else refuse(errno.EINVAL)

    @property
    def targets(self) -> dict[str, "Target"]:
        """The targets by name."""
        found = self.folders.items()
        return {name: target for name, target in found if isinstance(target, Target)}

    @property
    def portals(self) -> Iterator[Portal]:
        """Every portal that a target listens at, as often as there are."""
        for target in self.targets.values():
            for tpg in target.tpgs:
                yield from tpg.portals


class Target(Folder):
    """A target."""

    def __init__(self) -> None:
        super().__init__()
        self.add_default("fabric_statistics")
        self.add_default("param")

    def make_group(self, name: str) -> Folder:
        tag = name.partition("tpgt_")[2] or refuse(errno.EINVAL)
        if not 0 <= number(tag) <= _LAST_TAG:
            refuse(errno.EINVAL)
        return Tpg(self)

    @property
    def tpgs(self) -> list["Tpg"]:
        """The TPGs."""
        return [tpg for tpg in self.folders.values() if isinstance(tpg, Tpg)]

    @property
    def fabric(self) -> Fabric:
        """What it is in."""
        found = self.parent
        assert isinstance(found, Fabric)
        return found


@dataclasses.dataclass
class Auth:
    """CHAP credentials; a field that was never written is empty."""

    userid: str = ""
    password: str = ""
    userid_mutual: str = ""
    password_mutual: str = ""

    @property
    def pair(self) -> tuple[str, str] | None:
        """What a login has to prove; None if it can prove nothing."""
        pair = self.userid, self.password
        return pair if all(map(_is_set, pair)) else None

    @property
    def mutual(self) -> bool:
        """Whether the target is to prove itself, too."""
        return _is_set(self.userid_mutual) and _is_set(self.password_mutual)

    def attributes(self) -> dict[str, Attribute]:
        """Give the files of the folder ``auth``."""
        names = [field.name for field in dataclasses.fields(self)]
        mutual = Attribute(lambda: f"{int(self.mutual)}\n")
        return {name: self._file(name) for name in names} | {
            "authenticate_target": mutual
        }

    def _file(self, name: str) -> Attribute:
        def put(text: str) -> None:
            if len(text) >= _SECRET:
                refuse(errno.EINVAL)
            setattr(self, name, text)

        return Attribute(lambda: f"{getattr(self, name)}\n", put)


def _is_set(value: str) -> bool:
    # NAF_USERID_SET and the like go with what begins with NULL; the text stays.
    return bool(value) and not value.startswith("NULL")


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
    """

    name: str
    dynamic: bool = False
    entries: dict[int, Entry] = dataclasses.field(default_factory=dict)
    auth: Auth = dataclasses.field(default_factory=Auth)
    authentication: int = _INHERITED
    session: object = None


class Tpg(Folder):
    """A TPG.

    Attributes:
        nodes: the initiators that it knows, by name.
        attrib: its attributes.
        demo_auth: the credentials of those without an ACL.
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        self.enabled = False
        self.nodes: dict[str, Node] = {}
        self.attrib = dict(_ATTRIBUTES)
        self.demo_auth = Auth()
        self.attributes |= {
            "enable": Attribute(lambda: f"{int(self.enabled)}\n", self._enable),
            "dynamic_sessions": Attribute(self._dynamic_sessions),
        }
        self._luns = self.add_default("lun", _Luns(self))
        self._portals = self.add_default("np", _Portals(self))
        self.add_default("acls", _Acls(self))
        self.add_default("param")
        self.add_default("auth").attributes |= self.demo_auth.attributes()
        files = self.add_default("attrib").attributes
        files |= {name: self._attribute(name) for name in self.attrib}

    @property
    def luns(self) -> list["Lun"]:
        """The LUNs."""
        return [lun for lun in self._luns.folders.values() if isinstance(lun, Lun)]

    @property
    def portals(self) -> list[Portal]:
        """Where it listens."""
        return [_portal(name) for name in self._portals.folders]

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
        return Lun(self._tpg, _index(name))


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


class _Portals(Folder):
    def __init__(self, tpg: Tpg) -> None:
        super().__init__()
        self._tpg = tpg

    def make_group(self, name: str) -> Folder:
        try:
            portal = _portal(name)
        except ValueError:
            refuse(errno.EINVAL)
        target = self._tpg.target
        for tpg in target.tpgs:
            if portal in tpg.portals:
                refuse(errno.EINVAL)  # target_fabric_make_np() makes EINVAL of any
        for other in target.fabric.portals:
            if other != portal and _clash(portal, other):
                refuse(errno.EINVAL)
        made = Folder()
        made.attributes["iser"] = Attribute(lambda: "0\n", lambda text: None)
        return made


def _portal(name: str) -> Portal:
    """Read a portal's name as lio_target_call_addnptotpg() does."""
    found = re.search(r"\[([^\]]*)\][^:]*:(.*)", name) or re.match("([^:]*):(.*)", name)
    if found is None or not found[2].isdigit():
        raise ValueError(name)
    return Portal(found[1], int(found[2]))


def _clash(first: Portal, second: Portal) -> bool:
    """Say whether two sockets could not both listen (inet_csk_get_port())."""
    if first.port != second.port:
        return False
    pair = [ipaddress.ip_address(portal.address) for portal in (first, second)]
    if pair[0].version == pair[1].version:
        return any(address.is_unspecified for address in pair)
    # LIO does not set IPV6_V6ONLY, so "::" is all of IPv4, too.
    return any(address.is_unspecified and address.version == 6 for address in pair)


class _Acls(Folder):
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
        self.add_default("param")
        self.add_default("fabric_statistics")
        self.add_default("auth").attributes |= node.auth.attributes()
        self.add_default("attrib").attributes["authentication"] = Attribute(
            lambda: f"{node.authentication}\n", self._put_authentication
        )

    def make_group(self, name: str) -> Folder:
        return MappedLun(self, _index(name))

    def release(self) -> None:
        self.tpg.end_session(self.node)
        self.tpg.nodes.pop(self.node.name, None)

    def _info(self) -> str:
        if self.node.session is None:
            what = "No active iSCSI Session for Initiator Endpoint"
            return f"{what}: {self.node.name}\n"
        return f"InitiatorName: {self.node.name}\nLIO Session ID: 1   ISID: 0x00\n"

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


def _index(name: str) -> int:
    if not name.startswith("lun_"):
        refuse(errno.EINVAL)
    return number(name.removeprefix("lun_"))
