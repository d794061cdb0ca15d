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
    try:
        return capabilities.rule(_specs(volume), configuration)
    except capabilities.NotAllowedError as error:
        raise InvalidExtraSpec(
            volume=volume["id"],
            kind=volume["volume_type"]["name"],
            spec=error.spec.name,
            value=error.value,
            allowed=error.spec.allowed,
        ) from None


def _specs(volume: Any) -> Mapping[str, str]:
    kind = volume["volume_type"] if volume["volume_type_id"] else None
    return (kind["extra_specs"] if kind else None) or {}
