# SPDX-License-Identifier: Apache-2.0
"""The policies that decide about multi-attach volumes, documented for operators.

They are Cinder's own, with Cinder's defaults: a plugin cannot change what cinder-api
enforces. What does is a file in its ``policy.d``; ``etc/policy.d`` has three to choose
from. This module serves oslopolicy-sample-generator.
"""

from collections.abc import Mapping

from oslo_policy import policy

#: Cinder's default for both (cinder.policies.base.SYSTEM_ADMIN_OR_PROJECT_MEMBER).
_DEFAULT = "rule:xena_system_admin_or_project_member"

RULES = (
    policy.DocumentedRuleDefault(
        name="volume:multiattach",
        check_str=_DEFAULT,
        description="Create a volume of a multi-attach type, or retype one to such a "
        "type. It is not asked when a volume is taken under management (os-manage): "
        "restrict volume_extension:volume_manage, which is an admin's by default.",
        operations=[
            {"method": "POST", "path": "/volumes"},
            {"method": "POST", "path": "/volumes/{volume_id}/action (os-retype)"},
        ],
    ),
    policy.DocumentedRuleDefault(
        name="volume:multiattach_bootable_volume",
        check_str=_DEFAULT,
        description="Attach a bootable multi-attach volume that is attached already. "
        "It is asked only while the volume is in-use: for the first attachment it "
        "never is.",
        operations=[{"method": "POST", "path": "/attachments"}],
    ),
)

_MULTIATTACH, _BOOTABLE = (rule.name for rule in RULES)

#: The profiles of ``etc/policy.d``, by name: each policy with its rule.
PROFILES: Mapping[str, Mapping[str, str]] = {
    "open": {_MULTIATTACH: _DEFAULT, _BOOTABLE: _DEFAULT},
    "controlled": {
        _MULTIATTACH: "rule:admin_api or "
        "(role:multiattach and project_id:%(project_id)s)",
        _BOOTABLE: "rule:admin_api",
    },
    "closed": {_MULTIATTACH: "!", _BOOTABLE: "!"},
}


def list_rules() -> tuple[policy.DocumentedRuleDefault, ...]:
    """List the rules for oslopolicy-sample-generator."""
    return RULES
