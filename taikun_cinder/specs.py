# SPDX-License-Identifier: Apache-2.0
"""What the type of a volume asks of the back end."""

from collections.abc import Mapping
from typing import Any

from taikun_cinder import capabilities
from taikun_cinder.access.rules import Rule
from taikun_cinder.exception import InvalidExtraSpec


def rule(configuration: Any, volume: Any) -> Rule:
    """Give the rule for a volume: its type's, or else its back end's.

    Raises:
        InvalidExtraSpec: its type says something that is no rule.
    """
    kind = volume["volume_type"] if volume["volume_type_id"] else None
    return rule_of(configuration, volume, kind)


def rule_of(configuration: Any, volume: Any, kind: Any | None) -> Rule:
    """Give the rule for a volume if it is, or were, of a type.

    Raises:
        InvalidExtraSpec: the type says something that is no rule.
    """
    specs: Mapping[str, str] = (kind["extra_specs"] if kind else None) or {}
    try:
        return capabilities.rule(specs, configuration)
    except capabilities.NotAllowedError as error:
        raise InvalidExtraSpec(
            volume=volume["id"],
            kind=kind["name"] if kind else None,
            spec=error.spec.name,
            value=error.value,
            allowed=error.spec.allowed,
        ) from None
