# SPDX-License-Identifier: Apache-2.0
"""Where a volume is exported on this node, and its hosts, without Cinder's database."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from cinder.exception import CinderException

from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import ExportState, Initiator
from taikun_cinder.cli.compared import ComparedBackend
from taikun_cinder.cli.verb import NothingDoneError
from taikun_cinder.database import VolumeRow
from taikun_cinder.exception import FencesUnreadable
from taikun_cinder.layout import Layout
from taikun_cinder.survey import UNKNOWN
from taikun_cinder.volume_record import Record


@dataclasses.dataclass(frozen=True)
class Place:
    """A volume's export on this node, found without Cinder's database.

    Attributes:
        backend: whose it is.
        name_id: what it is named by.
        target: the name of the target that hosts are told.
        record: of the volume, None if there is none.
        shown: what the kernel has by that name; None if that cannot be seen.
        former: what it has of the volume by other names, see ``former_names``; None for
            what cannot be seen.
    """

    backend: ComparedBackend
    name_id: str
    target: str
    record: Record | None
    shown: ExportState | None
    former: Mapping[str, ExportState | None]

    @property
    def volume(self) -> VolumeRow:
        """The volume, as far as its record tells who it is."""
        about = self.record.about if self.record else None
        volume = about.volume if about else self.name_id
        return VolumeRow(volume, self.name_id, self.backend.host, UNKNOWN)


def find(
    backend: ComparedBackend,
    volume: str,
    unseen: Callable[[ComparedBackend, Exception], object],
) -> Place | None:
    """Find a volume of a back end by what the kernel and the records have.

    Args:
        backend: the back end.
        volume: as the operator named it.
        unseen: told why the kernel cannot be asked; what is recorded is found still.
    """
    layout, target = backend.layout, backend.target
    exported: dict[str, list[str]] = {}
    try:
        for name in sorted(target.names("")):  # the same one is meant each time
            if (name_id := layout.name_id(name)) is not None:
                exported.setdefault(name_id, []).append(name)
    except CinderException as error:
        unseen(backend, error)
    found = {
        name_id: _record(backend, name_id, layout.name(name_id))
        for name_id in {*exported, *backend.records.volumes()}
    }
    for name_id in _meant(volume, found, layout):
        names = exported.get(name_id, ())
        if place := _place_at(backend, name_id, found[name_id], names):
            return place
    return None


def _place_at(
    backend: ComparedBackend, name_id: str, record: Record | None, names: Sequence[str]
) -> Place | None:
    """Give a volume's export; None if it is no volume of the back end.

    Args:
        backend: the back end.
        name_id: of the volume.
        record: of it.
        names: those of all targets that are named by it.
    """
    layout, folder = backend.layout, backend.group.folder
    named = layout.name(name_id)
    export = record.export if record else None
    states = {name: _read(backend, name) for name in names}
    own = [
        name
        for name, state in states.items()
        if state is None or state.device == str(folder / named)
    ]
    name = (export and export.target) or next(iter((*own, *names)), None)
    name = name or layout.prefix + named
    shown = states[name] if name in states else _read(backend, name)
    device = Path((shown and shown.device) or (export.device if export else ""))
    about = record.about if record else None
    if not (about and about.backend == backend.host) and device.parent != folder:
        return None
    former = {other: states[other] for other in own if other != name}
    return Place(backend, name_id, name, record, shown, former)


def _read(backend: ComparedBackend, name: str) -> ExportState | None:
    with contextlib.suppress(CinderException):
        return backend.target.read(name)
    return None


def _meant(
    volume: str, found: Mapping[str, Record | None], layout: Layout
) -> Iterator[str]:
    """Give the places that a volume can be at by its name or its record.

    What is exported as its own comes first: by a migration a volume gets another's
    name. What only its record says comes last: that may be a copy.
    """
    own = {
        name_id: record
        for name_id, record in found.items()
        if record and record.about and record.about.volume == volume
    }
    exported = {name_id for name_id, record in own.items() if record.export}
    named = {
        name_id
        for name_id in found
        if volume == name_id or volume.endswith(layout.name(name_id))
    }
    for places in (exported, named - exported, own.keys() - named - exported):
        yield from sorted(places)


def _record(backend: ComparedBackend, name_id: str, named: str) -> Record | None:
    """Give a volume's record; None if what is in its place speaks of another export."""
    record = backend.records.load(name_id)
    if record is not None and record.export is not None:
        return record if record.export.target.endswith(named) else None
    return record


def initiators_of(
    place: Place, host: str, doubt: Callable[[str], object]
) -> list[Initiator]:
    """Give the initiators of a host, by its name or by one of theirs.

    Args:
        place: the volume.
        host: the name.
        doubt: told who is known, if it is an initiator's that is not among them.

    Raises:
        NothingDoneError: nobody of that name is known.
    """
    ledger = place.record.ledger if place.record else Ledger()
    try:
        fences = place.backend.exports.fences.of(place.name_id)
    except FencesUnreadable:  # who has access is known all the same
        fences = ()
    states = filter(None, (place.shown, *place.former.values()))
    shown = frozenset[Initiator]().union(*(state.hosts for state in states))
    fenced = (fence.initiator for fence in fences)
    known = {*shown, *ledger.machines, *ledger.attachments, *fenced}
    named = Initiator(host)
    if named in known:
        return [named]
    names = {one: ledger.machines[one].host for one in known if one in ledger.machines}
    found = sorted(one for one, name in names.items() if name.lower() == host.lower())
    if found:
        return found
    told = [f"{names[one]} ({one})" if names.get(one) else str(one) for one in known]
    others = (
        f"no host {host} is known to volume {place.volume.id}; it knows "
        f"{', '.join(sorted(told)) or 'none'}"
    )
    if not named.name.startswith(("iqn.", "eui.", "naa.")):
        raise NothingDoneError(others)
    doubt(others)
    return [named]
