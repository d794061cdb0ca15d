# SPDX-License-Identifier: Apache-2.0
"""What the back end can do, and what a volume type can ask of it.

One vocabulary, for the driver, the scheduler and ``cinder get-capabilities``.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taikun_cinder.access.rules import Rule, Secondary

VENDOR = "taikun_cinder"

#: What a pool says where there is no limit. Python reads this word as a number
#: (Cinder's own "infinite" is none), so a type can ask for ``>= 4`` of a pool.
UNLIMITED = "infinity"

#: Of our extra specs.
PREFIX = "taikun"


class NotAllowedError(ValueError):
    """An extra spec has a value that is none of those it may have."""

    def __init__(self, spec: "ExtraSpec", value: str) -> None:
        super().__init__(f"{spec.name}='{value}' is not {spec.allowed}")
        self.spec = spec
        self.value = value


@dataclasses.dataclass(frozen=True)
class ExtraSpec:
    """An extra spec of volume types.

    Attributes:
        key: its name behind the prefix.
        title: a few words.
        help: what it means.
        kind: ``string`` or ``integer``.
        values: those that it may have; empty for any number that is not negative.
    """

    key: str
    title: str
    help: str
    kind: str
    values: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its whole name."""
        return f"{PREFIX}:{self.key}"

    @property
    def option(self) -> str:
        """The option of a back end that says it for types that do not."""
        return f"{PREFIX}_{self.key}"

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        return f"one of {', '.join(self.values)}" if self.values else "a number from 0"

    def read(self, specs: Mapping[str, str], configuration: Any) -> Any:
        """Give its value for a volume type, or else for the back end.

        Raises:
            NotAllowedError: the type has another than it may.
        """
        if self.name not in specs:
            return getattr(configuration, self.option)
        value = specs[self.name]
        if value not in self.values if self.values else not value.isdecimal():
            raise NotAllowedError(self, value)
        return value if self.values else int(value)


SECONDARY_MODE = ExtraSpec(
    "secondary_mode",
    "Rule for second attachments",
    "What a server gets when another one has the volume attached: rw (what it asks "
    "for), ro (only to read while another server may write) or deny (nothing).",
    "string",
    tuple(one.value for one in Secondary),
)
MAX_HOSTS = ExtraSpec(
    "max_hosts",
    "Hosts per volume",
    "To how many hosts a volume can be attached at once. 0 is no limit.",
    "integer",
)
SPECS = (SECONDARY_MODE, MAX_HOSTS)


def rule(specs: Mapping[str, str], configuration: Any) -> Rule:
    """Give the rule for second attachments: a type's, or else a back end's.

    Raises:
        NotAllowedError: the type says something that is no rule.
    """
    return Rule(
        Secondary(SECONDARY_MODE.read(specs, configuration)),
        MAX_HOSTS.read(specs, configuration),
    )


def vendor_properties(configuration: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what ``cinder get-capabilities`` shows of each extra spec.

    The form is that of cinder.volume.driver.BaseVD._set_property.
    """
    for spec in SPECS:
        shown = {
            "title": spec.title,
            "description": spec.help,
            "type": spec.kind,
            "default": getattr(configuration, spec.option),
        }
        yield spec.name, shown | ({"enum": spec.values} if spec.values else {})


def stated(
    stats: dict[str, Any],
    version: str,
    configuration: Any,
    multiattach_volumes: Callable[[], int],
) -> dict[str, Any]:
    """Give the LVM driver's statistics with our own statement.

    Args:
        stats: what the LVM driver measured; empty as long as it has no volume group.
        version: of our driver.
        configuration: of the back end.
        multiattach_volumes: counts those that there are.
    """
    if not stats:
        return stats
    limit = configuration.taikun_max_multiattach_volumes
    pool: dict[str, Any] = {
        "multiattach": True,
        # A host that is attached 'ro' cannot write.
        "read_only_enforced": True,
        # SCSI-3, between hosts; LIO has them.
        "persistent_reservations": True,
        # Of a type that does not say its own.
        "hosts_per_volume": configuration.taikun_max_hosts or UNLIMITED,
        # For our scheduler filter.
        "multiattach_only": configuration.taikun_multiattach_only,
        "multiattach_volumes_left": (
            max(0, limit - multiattach_volumes()) if limit else UNLIMITED
        ),
    }
    return {
        **stats,
        "vendor_name": VENDOR,
        "driver_version": version,
        # Each volume has a target of its own. Only volumes that share one need a
        # host to scan and detach them one at a time (os_brick guard_connection).
        "shared_targets": False,
        "pools": [{**one, **pool} for one in stats["pools"]],
    }
