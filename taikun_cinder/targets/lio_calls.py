# SPDX-License-Identifier: Apache-2.0
"""How states and steps cross to the privileged process and back, as plain values."""

import operator
from collections.abc import Mapping
from typing import Any

from taikun_cinder.access import steps
from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.access.observed import (
    Observed,
    ObservedAcl,
    ObservedBackstore,
    ObservedMapping,
    ObservedTarget,
    ObservedTpg,
)
from taikun_cinder.access.steps import Step
from taikun_cinder.privsep import seal

Plain = Mapping[str, Any]


#: Each step with the name of what to ask for, and where its arguments are.
_CALLS: Mapping[type[Step], tuple[str, ...]] = {
    steps.CreateBackstore: ("create_backstore", "device", "serial"),
    steps.RemoveBackstore: ("remove_backstore",),
    steps.CreateTarget: ("create_target",),
    steps.RemoveTarget: ("remove_target",),
    steps.CreateTpg: ("create_tpg",),
    steps.RemoveTpg: ("remove_tpg", "tag"),
    # The privileged process knows itself what the attribute must be.
    steps.SetAttribute: ("pin_attribute", "name"),
    steps.EnableTpg: ("enable_tpg",),
    steps.AddLun: ("add_lun",),
    steps.RemoveLun: ("remove_lun", "index"),
    steps.AddPortal: ("add_portal", "portal.address", "portal.port"),
    steps.RemovePortal: ("remove_portal", "portal.address", "portal.port"),
    steps.CreateAcl: ("create_acl", "initiator.name"),
    steps.RemoveAcl: ("remove_acl", "initiator.name"),
    steps.SetCredentials: (
        "set_credentials",
        "initiator.name",
        "credentials.username",
        "credentials.password",
    ),
    steps.MapLun: ("map_lun", "initiator.name", "write_protect"),
    steps.UnmapLun: ("unmap_lun", "initiator.name", "index"),
    steps.SetWriteProtect: ("set_write_protect", "initiator.name", "write_protect"),
}


def call(step: Step) -> tuple[Any, ...]:
    """Give what to ask the privileged process for, see ``privsep.lio.CHANGES``."""
    name, *arguments = _CALLS[type(step)]
    return name, *(operator.attrgetter(argument)(step) for argument in arguments)


def observed(name: str, plain: Plain, key: bytes) -> Observed:
    """Give the state that ``privsep.lio.read`` told, asked with this key."""
    backstore, target = plain["backstore"], plain["target"]
    return Observed(
        name,
        None if backstore is None else ObservedBackstore(**backstore),
        None if target is None else _target(target, key),
    )


def _target(plain: Plain, key: bytes) -> ObservedTarget:
    tpg = plain["tpg"]
    return ObservedTarget(
        None if tpg is None else _tpg(tpg, key), frozenset(plain["other_tpgs"])
    )


def _tpg(plain: Plain, key: bytes) -> ObservedTpg:
    acls: dict[Initiator, ObservedAcl] = {}
    for name, acl in plain["acls"].items():
        who = Initiator(name)
        if name == who.name:
            acls[who] = _acl(name, acl, key)
        else:
            # LIO knows a host by its name in lower case: such an ACL lets nobody in.
            acls.setdefault(who, ObservedAcl())
    return ObservedTpg(
        enabled=plain["enabled"],
        attributes=plain["attributes"],
        luns=plain["luns"],
        portals=frozenset(Portal(*portal) for portal in plain["portals"]),
        acls=acls,
    )


def _acl(name: str, plain: Plain, key: bytes) -> ObservedAcl:
    credentials = None
    if plain["credentials"] is not None:
        username, hidden = plain["credentials"]
        credentials = Credentials(username, seal.show(hidden, key, name))
    return ObservedAcl(
        credentials=credentials,
        mapped={
            index: ObservedMapping(lun, protect)
            for index, (lun, protect) in plain["mapped"].items()
        },
        session=plain["session"],
    )
