# SPDX-License-Identifier: Apache-2.0
"""What keeps a node from exporting a back end's volumes, each fault with its cure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taikun_cinder import option_faults, portals, targets
from taikun_cinder.access.model import Portal
from taikun_cinder.node import Node, Problem
from taikun_cinder.records import Records
from taikun_cinder.targets.looks import Place

_OURS = ("target_prefix", "volume_group", "taikun_state_path")
_PORTALS = (
    "target_ip_address",
    "target_secondary_ip_addresses",
    "target_port",
    "taikun_floating_addresses",
)


def of_targets(configuration: Any, node: Node) -> Iterator[Problem]:
    """Tell what keeps the node from exporting."""
    chosen = targets.kind_of(configuration)
    place = place_of(configuration, node)
    for kind in [chosen] if chosen else targets.all_kinds():
        yield from kind.problems(node, place.portals, place.prefixes, place.group)
    yield from of_addresses(configuration, node)


def place_of(configuration: Any, node: Node) -> Place:
    """Give where the targets are to be, as far as the options can be read."""
    where = tuple(portal for _, portal in _portals(configuration))
    if not option_faults.are_readable(configuration, *_OURS):
        return Place(node, where)
    group = configuration.volume_group
    recorded = Records(Path(configuration.taikun_state_path)).prefixes(group)
    return Place(node, where, (configuration.target_prefix, *sorted(recorded)), group)


def of_addresses(configuration: Any, node: Node) -> Iterator[Problem]:
    """Tell of addresses of targets that the node does not have."""
    for option, portal in _portals(configuration):
        if not (
            portals.floats(configuration, portal) or node.network.has(portal.address)
        ):
            yield _absent(configuration, option, portal)


def _absent(configuration: Any, option: str, portal: Portal) -> Problem:
    return Problem(
        f"{option} has {portal.address}, which is no address of this node now. Targets "
        "listen there all the same, and no host reaches them",
        f"Set {option} in section [{option_faults.section(configuration)}] of "
        "cinder.conf to an address of this node (ip address shows them). If it is one "
        "that moves between nodes, name it in taikun_floating_addresses.",
        tolerable=True,
    )


def _portals(configuration: Any) -> list[tuple[str, Portal]]:
    """Give the portals with their options; none if there is a fault in them."""
    if not option_faults.are_readable(configuration, *_PORTALS):
        return []
    try:
        return list(portals.named(configuration))
    except ValueError:
        return []
