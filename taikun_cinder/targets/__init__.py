# SPDX-License-Identifier: Apache-2.0
"""The kinds of target that can export volumes, by the options that choose one."""

from collections.abc import Mapping
from typing import Any

from oslo_utils import importutils

from taikun_cinder.targets.base import Target

#: By target_helper and target_protocol, as in the ``target_mapping`` of Cinder's LVM
#: driver. A new kind is one line here; see doc/source/contributor.
KINDS: Mapping[tuple[str, str], str] = {
    ("lioadm", "iscsi"): "taikun_cinder.targets.lio.target.LioTarget",
}


def kind_of(configuration: Any) -> type[Target] | None:
    """Give the class of a back end's target; None if its options name none."""
    chosen = (configuration.target_helper, configuration.target_protocol)
    path = KINDS.get(chosen)
    return None if path is None else importutils.import_class(path)


def all_kinds() -> list[type[Target]]:
    """Give the classes of all kinds of target."""
    return [importutils.import_class(path) for path in KINDS.values()]


def of(configuration: Any) -> Target:
    """Make the target of a back end.

    Raises:
        LookupError: its options name no kind; ``preflight`` refuses them at the start.
    """
    kind = kind_of(configuration)
    if kind is None:
        raise LookupError(
            f"section [{configuration.config_group}] of cinder.conf names no kind of "
            f"target: target_helper = {configuration.target_helper} with "
            f"target_protocol = {configuration.target_protocol}. Set them to "
            f"{' or '.join(' with '.join(pair) for pair in KINDS)}"
        )
    return kind()
