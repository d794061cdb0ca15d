# SPDX-License-Identifier: Apache-2.0
"""The portals of a back end's targets, as its options say."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from taikun_cinder.access.model import Portal

_PRIMARY = "target_ip_address"
_SECONDARY = "target_secondary_ip_addresses"


def of(configuration: Any) -> tuple[Portal, ...]:
    """Give the portals, the primary one first.

    Raises:
        ValueError: one is not an IP address; :func:`faults` says it for operators.
    """
    port = configuration.target_port
    return tuple(Portal(address, port) for _, address in _addresses(configuration))


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
