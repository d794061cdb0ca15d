# SPDX-License-Identifier: Apache-2.0
"""Volume types: what the driver and Cinder's manager ask of them."""

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

#: The extra specs of each type, by its id.
SPECS: Mapping[str, dict[str, str]] = {
    "shared": {"multiattach": "<is> True", "taikun:secondary_mode": "rw"},
    "readers": {"multiattach": "<is> True", "taikun:secondary_mode": "ro"},
    "exclusive": {"multiattach": "<is> True", "taikun:secondary_mode": "deny"},
    "pair": {"multiattach": "<is> True", "taikun:max_hosts": "2"},
    "single": {"taikun:secondary_mode": "rw"},
}


@dataclasses.dataclass(frozen=True)
class VolumeType:
    """As cinder.objects has it."""

    id: str

    @classmethod
    def get_by_id(cls, _context: Any, id_: str) -> "VolumeType":
        return cls(id_)

    @property
    def extra_specs(self) -> dict[str, str]:
        return SPECS[self.id]

    @property
    def name(self) -> str:
        return self.id

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def is_multiattach(type_: str | None) -> bool:
    """Say whether a type's volumes are for several servers; all without one are."""
    specs = SPECS.get(type_ or "")
    return specs is None or specs.get("multiattach") == "<is> True"


def _difference(_context: Any, before: str | None, after: str) -> tuple[Any, bool]:
    had = SPECS[before] if before else {}
    specs = {
        name: (had.get(name), SPECS[after].get(name))
        for name in {**had, **SPECS[after]}
    }
    return {"extra_specs": specs, "encryption": {}}, before == after


#: What stands for cinder.volume.volume_types.
volume_types = SimpleNamespace(
    volume_types_diff=_difference,
    volume_types_encryption_changed=lambda context, before, after: False,
    get_volume_type_qos_specs=lambda id_: {"qos_specs": None},
    get_volume_type_extra_specs=lambda id_: SPECS[id_],
)

#: What stands for Cinder's quotas, which nobody looks at here.
QUOTAS = SimpleNamespace(
    commit=lambda *args, **kwargs: None, rollback=lambda *args, **kwargs: None
)
