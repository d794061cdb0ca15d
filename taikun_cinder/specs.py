# SPDX-License-Identifier: Apache-2.0
"""The ``taikun:`` extra specs of volume types, and the options that they go before."""

from collections.abc import Mapping
from typing import Any

from taikun_cinder.access.rules import Rule, Secondary
from taikun_cinder.exception import InvalidExtraSpec

SECONDARY_MODE = "taikun:secondary_mode"
MAX_HOSTS = "taikun:max_hosts"

#: Values of ``taikun:secondary_mode`` and ``taikun_secondary_mode``.
SECONDARY_MODES = tuple(one.value for one in Secondary)


def rule(configuration: Any, volume: Any) -> Rule:
    """Give the rule for a volume: its type's, or else its back end's.

    Raises:
        InvalidExtraSpec: its type says something that is no rule.
    """
    specs = _specs(volume)
    secondary = specs.get(SECONDARY_MODE, configuration.taikun_secondary_mode)
    hosts = specs.get(MAX_HOSTS, configuration.taikun_max_hosts)
    try:
        return Rule(Secondary(secondary), _number(hosts))
    except ValueError:
        wrong = SECONDARY_MODE if secondary not in SECONDARY_MODES else MAX_HOSTS
        allowed = {
            SECONDARY_MODE: f"one of {', '.join(SECONDARY_MODES)}",
            MAX_HOSTS: "a number of hosts, or 0 for no limit",
        }
        raise InvalidExtraSpec(
            volume=volume["id"],
            kind=volume["volume_type"]["name"],
            spec=wrong,
            value=specs[wrong],
            allowed=allowed[wrong],
        ) from None


def _specs(volume: Any) -> Mapping[str, str]:
    kind = volume["volume_type"] if volume["volume_type_id"] else None
    return (kind["extra_specs"] if kind else None) or {}


def _number(text: Any) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number
