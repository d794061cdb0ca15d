# SPDX-License-Identifier: Apache-2.0
"""The portals of a back end's targets, as its options say."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from taikun_cinder.access.model import Portal

_PRIMARY = "target_ip_address"
_SECONDARY = "target_secondary_ip_addresses"
_FLOATING = "taikun_floating_addresses"


def of(configuration: Any) -> tuple[Portal, ...]:
    """Give the portals, the primary one first.

    Raises:
        ValueError: one is not an IP address; :func:`faults` says it for operators.
    """
    return tuple(portal for _, portal in named(configuration))


def named(configuration: Any) -> Iterator[tuple[str, Portal]]:
    """Give the portals, each with the option that it is from.

    Raises:
        ValueError: one is not an IP address; :func:`faults` says it for operators.
    """
    port = configuration.target_port
    for option, address in _addresses(configuration):
        yield option, Portal(address, port)


def floats(configuration: Any, portal: Portal) -> bool:
    """Say whether an address is one that moves between nodes."""
    return portal.address in map(_plain, configuration.taikun_floating_addresses)


def faults(configuration: Any) -> Iterator[tuple[str, str]]:
    """Tell what is wrong with the addresses.

    Returns:
        pairs: the option, and what is wrong with it.
    """
    seen: dict[str, str] = {}
    for option, text in _addresses(configuration):
        try:
            address = Portal(text).address
        except ValueError:
            yield (
                option,
                f"{option} has {text!r}, which is no IP address, and targets listen at "
                "addresses and not at names",
            )
            continue
        if fault := _useless(ipaddress.ip_address(address)):
            yield option, f"{option} has {text}, {fault}"
        elif address in seen:
            yield option, f"{option} has {text}, which {seen[address]} has already"
        else:
            seen[address] = option
    for text in configuration.taikun_floating_addresses:
        if _plain(text) not in seen:
            yield _FLOATING, f"{_FLOATING} has {text}, where no target listens"


def _plain(text: str) -> str:
    """Give an address in the form that portals have; another text as it is."""
    try:
        return Portal(text).address
    except ValueError:
        return text


def _useless(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> str | None:
    if address.is_unspecified:
        return (
            "which means every address of this node; hosts are told where to connect, "
            "and they cannot connect there"
        )
    if address.is_multicast:
        return "which is a multicast address"
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        return "which is good on one link only, and no target can listen there"
    return None


def _addresses(configuration: Any) -> Iterator[tuple[str, str]]:
    yield _PRIMARY, str(configuration.target_ip_address or "")
    for address in configuration.target_secondary_ip_addresses or []:
        yield _SECONDARY, str(address)
