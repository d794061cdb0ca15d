# SPDX-License-Identifier: Apache-2.0
"""The states that the privileged process tells, which come as plain values."""

from collections.abc import Mapping
from typing import Any

from taikun_cinder.access.model import Initiator, Portal, Sealed
from taikun_cinder.privsep import cipher
from taikun_cinder.targets.inspection import Inspection, Reservation
from taikun_cinder.targets.lio.states import (
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    TargetState,
    TpgState,
)

Plain = Mapping[str, Any]


def state(name: str, plain: Plain, key: bytes) -> LioState:
    """Give the state that ``privsep.lio.read`` told, asked with this key."""
    target = plain["target"]
    return LioState(
        name,
        _backstore(plain["backstore"]),
        None if target is None else _target(target, key),
        _backstore(plain["readers"]),
    )


def inspection(plain: Plain) -> Inspection:
    """Give the details that ``privsep.lio.inspect`` told."""
    said = plain["reservation"]
    return Inspection(
        frozenset(Portal(*portal) for portal in plain["portals"]),
        {Initiator(name): address for name, address in plain["addresses"].items()},
        Reservation(
            said["kind"],
            None if said["holder"] is None else Initiator(said["holder"]),
            frozenset(map(Initiator, said["registered"])),
        ),
    )


def _backstore(plain: Plain | None) -> BackstoreState | None:
    if plain is None:
        return None
    return BackstoreState(**{**plain, "refuses": frozenset(plain["refuses"])})


def _target(plain: Plain, key: bytes) -> TargetState:
    tpg = plain["tpg"]
    return TargetState(
        None if tpg is None else _tpg(tpg, key), frozenset(plain["other_tpgs"])
    )


def _tpg(plain: Plain, key: bytes) -> TpgState:
    acls: dict[Initiator, AclState] = {}
    for name, acl in plain["acls"].items():
        initiator = Initiator(name)
        if name == initiator.name:
            acls[initiator] = _acl(name, acl, key)
        else:
            # LIO knows a host by its name in lower case: such an ACL lets no host in.
            acls.setdefault(initiator, AclState())
    return TpgState(
        enabled=plain["enabled"],
        attributes=plain["attributes"],
        luns=plain["luns"],
        portals=frozenset(Portal(*portal) for portal in plain["portals"]),
        acls=acls,
    )


def _acl(name: str, plain: Plain, key: bytes) -> AclState:
    credentials = None
    if plain["credentials"] is not None:
        username, digest = plain["credentials"]
        credentials = Sealed(username, digest, cipher.labelled(key, name))
    return AclState(
        credentials=credentials,
        mapped={
            index: MappedLunState(lun, protect)
            for index, (lun, protect) in plain["mapped"].items()
        },
        session=plain["session"],
    )
