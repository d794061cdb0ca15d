# SPDX-License-Identifier: Apache-2.0
"""The kinds of target that can export volumes, by the options that choose one."""

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_utils import importutils

from taikun_cinder.targets.base import Target

#: By target_helper and target_protocol, as in the ``target_mapping`` of Cinder's LVM
#: driver. A new kind is one line here; see doc/source/contributor.
KINDS: Mapping[tuple[str, str], str] = {
    ("lioadm", "iscsi"): "taikun_cinder.targets.lio.target.LioTarget",
}


def kind_of(configuration: Any) -> type[Target] | None:
    """Give the class of a back end's target; None if its options name none."""
    try:
        chosen = (configuration.target_helper, configuration.target_protocol)
    except (ValueError, cfg.Error):  # for a value that the option may not have
        return None
    path = KINDS.get(chosen)
    return None if path is None else importutils.import_class(path)


def all_kinds() -> list[type[Target]]:
    """Give the classes of all kinds of target."""
    return [importutils.import_class(path) for path in KINDS.values()]


def of(configuration: Any) -> Target:
    """Make the target of a back end: of the kind that it names, or the only one.

    ``preflight`` keeps a back end that names none from starting. ``restore`` gives its
    hosts their disks back all the same, by the only kind that can have exported them.

    Raises:
        LookupError: it names none, and there are several.
    """
    named = kind_of(configuration)
    kinds = [named] if named else all_kinds()
    if len(kinds) > 1:
        raise LookupError(
            f"section [{configuration.config_group}] of cinder.conf names no kind of "
            "target. Set target_helper with target_protocol to "
            f"{' or '.join(' with '.join(pair) for pair in KINDS)}"
        )
    return kinds[0]()
