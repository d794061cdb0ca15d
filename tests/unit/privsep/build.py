# SPDX-License-Identifier: Apache-2.0
"""Makes any state in an imitated node by hand, past the driver."""

import contextlib
import dataclasses
from collections.abc import Collection

from hypothesis import strategies as st

from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.privsep import backstores, checks, readers
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    READERS_SUFFIX,
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    TpgState,
)
from tests.unit.privsep.node import ImitatedNode
from tests.unit.privsep.sessions import ImitatedSession, begin_session
from tests.unit.privsep.target_core import ATTRIBUTES as ATTRIBUTES_OF_BACKSTORE
from tests.unit.targets.lio.states import DEVICE

#: A name for a link as rtslib makes them.
_LINK = "0a1b2c3d4e"

#: A backstore for LUNs that are to lose theirs.
_LOST = "core/iblock_7/lost"


#: The reasons why nobody can prove who he is by an ACL.
CLOSED = ("none", "no password", "open", "mutual", "capitals")


@dataclasses.dataclass(frozen=True)
class Variant:
    """The ways in which one state can look in configfs.

    Attributes:
        hba: index of the HBA; None for ours.
        closed: why an ACL has no credentials; one of ``CLOSED``.
        dead: whether a mapped LUN that leads nowhere has a link.
        readers: the kind of the readers' backstore, an index of ``readers.places``.
    """

    hba: int | None = None
    closed: str = "none"
    dead: bool = False
    readers: int = 0


variants = st.builds(
    Variant,
    st.sampled_from([None, None, 0, 5]),
    st.sampled_from(CLOSED),
    st.booleans(),
    st.integers(0, 1),
)

#: What the readers' backstore is told of its device, by its kind.
_READERS_OPTIONS = ("exclusive=0,udev_path", "fd_async_io=1,fd_dev_name")


def node_with_devices() -> ImitatedNode:
    """Give a node with LIO and the devices that ``states`` speaks of."""
    node = ImitatedNode()
    node.set_up()
    for device in (DEVICE, "/dev/vg/other"):
        node.add_device(device)
    return node


def possible(state: LioState) -> LioState:
    """Give the state that a kernel would show for a state that is thought up.

    A mapped LUN that leads nowhere shows as write-protected, one whose LUN leads
    nowhere leads nowhere too, a TPG has all of its attributes, and some of a
    backstore's begin with 0.
    """
    state = dataclasses.replace(
        state,
        backstore=_begun(state.backstore, checks.PASSABLE),
        readers=_begun(state.readers, readers.CHANGING),
    )
    if state.target is None or state.tpg is None:
        return state
    tpg = state.tpg

    def shown(mapped: MappedLunState) -> MappedLunState:
        dead = mapped.lun is None or tpg.luns[mapped.lun] is None
        return MappedLunState(None, write_protect=True) if dead else mapped

    acls = {
        initiator: dataclasses.replace(
            acl, mapped={index: shown(lun) for index, lun in acl.mapped.items()}
        )
        for initiator, acl in tpg.acls.items()
    }
    changed = dataclasses.replace(
        tpg, acls=acls, attributes={**ATTRIBUTES, **tpg.attributes}
    )
    target = dataclasses.replace(state.target, tpg=changed)
    return dataclasses.replace(state, target=target)


def _begun(
    state: BackstoreState | None, names: Collection[str]
) -> BackstoreState | None:
    if state is None or state.active:
        return state
    zeros = frozenset(name for name in names if not ATTRIBUTES_OF_BACKSTORE[name])
    return dataclasses.replace(state, refuses=zeros)


def build(
    node: ImitatedNode, state: LioState, variant: Variant
) -> dict[Initiator, ImitatedSession]:
    """Make a state that is ``possible`` in a node with LIO and no such volume.

    Returns:
        the sessions of the hosts that are logged in.
    """
    if state.backstore is not None:
        _make_backstore(node, _backstore(state.name, variant), state.backstore)
    if state.readers is not None:
        option = _READERS_OPTIONS[variant.readers]
        _make_backstore(node, _readers(state.name, variant), state.readers, option)
    if state.target is None:
        return {}
    target = f"iscsi/{state.name}"
    node.make(target)
    for tag in state.target.other_tpgs:
        node.make(f"{target}/tpgt_{tag}")
    return {} if state.tpg is None else _Tpg(node, state, variant).build(state.tpg)


def _backstore(name: str, variant: Variant) -> str:
    hba = backstores.place(name).split("/")[-2]
    return f"core/{hba if variant.hba is None else f'iblock_{variant.hba}'}/{name}"


def _readers(name: str, variant: Variant) -> str:
    return _below(readers.places(name)[variant.readers])


def _below(path: str) -> str:
    return path.removeprefix(f"{backstores.ROOT}/")


def _make_backstore(
    node: ImitatedNode, path: str, state: BackstoreState, option: str = "udev_path"
) -> None:
    node.make(path.rpartition("/")[0])
    node.make(path)
    if state.serial:
        node.put(f"{path}/wwn/vpd_unit_serial", state.serial)
    if state.device:
        node.put(f"{path}/control", f"{option}={state.device}")
        node.put(f"{path}/udev_path", state.device)
    if state.active:
        node.put(f"{path}/enable", "1")
        for name in state.refuses:
            node.put(f"{path}/attrib/{name}", "0")
        if state.discard:
            node.put(f"{path}/attrib/emulate_tpu", "1")


class _Tpg:
    """Makes the TPG with the tag 1, and all in it."""

    def __init__(self, node: ImitatedNode, state: LioState, variant: Variant) -> None:
        self._node, self._name, self._variant = node, state.name, variant
        self._path = f"iscsi/{state.name}/tpgt_1"

    def build(self, tpg: TpgState) -> dict[Initiator, ImitatedSession]:
        self._make("")
        for portal in tpg.portals:
            self._make(f"/np/{portal}")
        for index in tpg.luns:
            self._make(f"/lun/lun_{index}")
        for initiator, acl in tpg.acls.items():
            self._make_acl(initiator, acl)
        if self._variant.dead and tpg.luns:
            self._map_and_lose(tpg)
        for index, name in tpg.luns.items():
            if name is not None:
                self._link(f"/lun/lun_{index}", self._backstore_of(name))
        for initiator, acl in tpg.acls.items():
            self._map(initiator, acl)
        for attribute, value in tpg.attributes.items():
            self._put(f"/attrib/{attribute}", str(value))
        if tpg.enabled:
            self._put("/enable", "1")
        return self._log_in(tpg)

    def _make(self, path: str) -> None:
        self._node.make(f"{self._path}{path}")

    def _put(self, path: str, text: str) -> None:
        self._node.put(f"{self._path}{path}", text)

    def _link(self, path: str, to: str) -> None:
        self._node.link(f"{self._path}{path}/{_LINK}", to)

    def _backstore_of(self, name: str) -> str:
        if name == self._name:
            return _backstore(name, self._variant)
        if name == f"{self._name}{READERS_SUFFIX}":
            return _readers(self._name, self._variant)
        path = f"core/iblock_8/{name}"
        with contextlib.suppress(FileExistsError):
            device = self._node.add_device(f"/dev/vg/behind-{name}")
            state = BackstoreState(device, "behind", active=True)
            _make_backstore(self._node, path, state)
        return path

    def _folder(self, initiator: Initiator, acl: AclState) -> str:
        alone = acl == AclState() and self._variant.closed == "capitals"
        return f"/acls/{initiator.name.upper() if alone else initiator}"

    def _make_acl(self, initiator: Initiator, acl: AclState) -> None:
        path = self._folder(initiator, acl)
        self._make(path)
        for index in acl.mapped:
            self._make(f"{path}/lun_{index}")
        closed = self._variant.closed if acl.credentials is None else ""
        if closed in ("none", "capitals"):
            return
        pair = acl.credentials
        if not isinstance(pair, Credentials):
            pair = Credentials("somebody", "something")
        self._put(f"{path}/auth/userid", pair.username)
        if closed != "no password":
            self._put(f"{path}/auth/password", pair.password)
        if closed == "open":
            self._put(f"{path}/attrib/authentication", "0")
        if closed == "mutual":
            self._put(f"{path}/auth/userid_mutual", "target")
            self._put(f"{path}/auth/password_mutual", "secret-of-the-target")

    def _map_and_lose(self, tpg: TpgState) -> None:
        """Bind mapped LUNs to LUNs that lose their backstore, and keep the links."""
        lost = BackstoreState(self._node.add_device("/dev/vg/lost"), "", active=True)
        _make_backstore(self._node, _LOST, lost)
        for index in tpg.luns:
            self._link(f"/lun/lun_{index}", _LOST)
        for initiator, acl in tpg.acls.items():
            for index, mapped in acl.mapped.items():
                if mapped.lun is None:
                    path = f"{self._folder(initiator, acl)}/lun_{index}"
                    self._link(path, f"{self._path}/lun/lun_{min(tpg.luns)}")
        for index in tpg.luns:
            self._node.unlink(f"{self._path}/lun/lun_{index}/{_LINK}")

    def _map(self, initiator: Initiator, acl: AclState) -> None:
        for index, mapped in acl.mapped.items():
            if mapped.lun is not None:
                path = f"{self._folder(initiator, acl)}/lun_{index}"
                self._link(path, f"{self._path}/lun/lun_{mapped.lun}")
                self._put(f"{path}/write_protect", str(int(mapped.write_protect)))

    def _log_in(self, tpg: TpgState) -> dict[Initiator, ImitatedSession]:
        """Let those be logged in who are, whatever has changed since they were."""
        there = next(
            found
            for found in self._node.targets[self._name].tpgs
            if found.name == "tpgt_1"
        )
        return {
            initiator: begin_session(there, there.nodes[initiator.name])
            for initiator, acl in tpg.acls.items()
            if acl.session
        }
