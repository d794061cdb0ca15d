# SPDX-License-Identifier: Apache-2.0
"""Exports under a name that their volume does not have any more.

A volume's target keeps the name that its hosts were told, whatever ``target_prefix``
says by now (``known``). But where ``cinder-volume`` was killed before it wrote down
what it had exported, or lost its records, and starts with another prefix, nothing leads
from the volume to that export. It would stay, with its hosts, for ever.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from oslo_log import log as logging

from taikun_cinder.known import Known
from taikun_cinder.layout import Layout
from taikun_cinder.leftovers import Hold
from taikun_cinder.targets.base import Target

LOG = logging.getLogger(__name__)


def find(
    exported: Iterable[str],
    volumes: Iterable[Any],
    layout: Layout,
    name_of: Callable[[Any], str],
) -> Iterator[tuple[str, Any]]:
    """Give the exports that may have such a name, each with its volume.

    Args:
        exported: the names of all targets and backstores of the node.
        volumes: the back end's.
        layout: how it exports.
        name_of: gives the name that a volume's target has.
    """
    by_name_id = {volume["name_id"]: volume for volume in volumes}
    for name in sorted(exported):
        volume = by_name_id.get(layout.name_id(name) or "")
        if volume is not None and name_of(volume) != name:
            yield name, volume


def end(
    name: str, volume: Any, known: Known, target: Target, layout: Layout, hold: Hold
) -> Sequence[str]:
    """Remove such an export, unless somebody may be using it.

    Args:
        name: of its target.
        volume: whose it is.
        known: what is known about the volume; who calls has its lock.
        target: what exports.
        layout: how.
        hold: tells which live initiators keep their access for now, see ``brake``.

    Returns:
        the kinds of the differences that were put right, see ``Result``.
    """
    told = {one.told.target for one in known.attachments if one.told is not None}
    if known.moved(volume) or name in {known.target, *told}:
        return ()
    # One of Cinder's old API, or that cannot be read, does not say what its host was
    # told: it may be this.
    if any(one.told is None and one.id in known.present for one in known.attachments):
        return ()
    state = target.read(name)
    # A volume of another group may have the same name, see Enforcement.shows_another.
    # One that was begun only has no device, and is nobody's who needs it.
    if state.device and state.device != layout.device(volume):
        return ()
    if state.connected and hold(volume["id"], state.connected):
        return ()
    done = target.ensure(name, None)
    LOG.warning(
        "The target of volume %(volume)s is %(target)s, and there was an export "
        "%(name)s of it, too, which nothing asks for. It is removed, with the access "
        "of %(hosts)s.",
        {
            "volume": volume["id"],
            "target": known.target,
            "name": name,
            "hosts": ", ".join(sorted(map(str, state.hosts))) or "nobody",
        },
    )
    return done.put_right
