# SPDX-License-Identifier: Apache-2.0
"""The driver's own knowledge about volumes: a small file for each.

It has the export as it was left last, so that hosts get their disks back after a reboot
though the database is not there yet, and the answers that Cinder's rows do not show yet
(``access.ledger.Ledger``), so that neither a restart nor a second process forgets one.

A file is read and written under the lock of its volume. It is written after the kernel
was changed and before Cinder is answered. So a file that is older than the kernel only
leaves out what nobody was told.
"""

import contextlib
import dataclasses
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from taikun_cinder.access.attachment import Connection
from taikun_cinder.access.ledger import Kept, Ledger
from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    Initiator,
    Mode,
    Portal,
)
from taikun_cinder.exception import RecordNotWritten, RecordUnreadable

LOG = logging.getLogger(__name__)

#: The form of the files. Another one is not read. Its keys are older than the words of
#: ``Connection``: a flight is a connection, and a user its server. Older versions leave
#: out the keys that they do not know.
_FORM = 1

_SUFFIX = ".json"

#: What reading a file that is no record ends with.
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)

#: What an operator does about a folder that cannot be written to.
CURE = (
    "Give the folder to the user of cinder-volume, with room on its disk, or set the "
    "option taikun_state_path to another one."
)


@dataclasses.dataclass(frozen=True)
class About:
    """What a record speaks of, beside the export itself.

    Attributes:
        volume: Cinder's id. The file's name is the ``name_id``, which in the end of a
            migration becomes another volume's.
        backend: whose export it is, as ``node@backend``.
        node: the name of the node whose kernel exports it.
    """

    volume: str
    backend: str
    node: str = dataclasses.field(default_factory=socket.gethostname)


@dataclasses.dataclass(frozen=True)
class Record:
    """The last known export of one volume, and its ledger.

    Attributes:
        export: what is in the kernel; None for nothing.
        ledger: what was answered and no attachment shows.
        about: what it speaks of; None if an older version wrote it.
    """

    export: Export | None = None
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    about: About | None = None

    @property
    def is_of_this_node(self) -> bool:
        """Whether it did not come with the disk of another node."""
        return self.about is None or self.about.node == socket.gethostname()

    def speaks_of(self, name: str) -> bool:
        """Say whether it can be about a volume of this name, on this node.

        A copy that was put under another volume's name is not.
        """
        export = self.export
        if export is None:
            return self.is_of_this_node
        return (
            self.is_of_this_node
            and export.target.endswith(name)
            and Path(export.device).name == name
        )


class Records:
    """The records of the volumes of a node.

    Args:
        folder: where. It is made at the first write, and is its owner's alone, since
            the records have the passwords of hosts. It has to outlive a reboot, and no
            other node may share it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: What could not be written yet, by the name of its file.
        self._unwritten: dict[str, Record] = {}

    def of(self, volume: Any) -> Record | None:
        """Give the record of a volume's export; None if there is none to go by.

        Args:
            volume: Cinder's.
        """
        key, older = volume["name_id"], volume["id"]
        found = self.load(key)
        if found is None and older != key:
            # As versions before 0.2 named the files.
            found = self.load(older)
            if found is not None and found.export is None:
                found = None
        if found is not None and not found.speaks_of(volume["name"]):
            LOG.warning(
                "The record in %(folder)s of volume %(volume)s speaks of another "
                "volume or another node (%(about)s), so it is not believed. Its place "
                "is taken by what the kernel exports now, and by Cinder's attachments.",
                {
                    "folder": self.folder,
                    "volume": volume["id"],
                    "about": found.about or (found.export and found.export.target),
                },
            )
            return None
        return found

    def keep(self, volume: Any, record: Record, *, promised: bool) -> None:
        """Write the record of a volume's export.

        Args:
            volume: Cinder's.
            record: of it.
            promised: whether somebody is to be told that it is so. What was taken away
                stands anyway: it is remembered by this process until it can be written,
                or the next reconcile would let in again who was cut off.

        Raises:
            RecordNotWritten: it could not be written, and it was promised.
        """
        key, older = volume["name_id"], volume["id"]
        try:
            self.save(key, record)
        except RecordNotWritten as error:
            if promised:
                raise
            self._unwritten[key] = record
            LOG.error(
                "%s Until then only this process knows it: a restart of cinder-volume "
                "or of the node goes by the older record.",
                error.msg,
            )
            return
        stale = self.load(older) if older != key else None
        if stale and stale.export and stale.speaks_of(volume["name"]):
            self.forget(older)

    def load(self, volume_id: str) -> Record | None:
        """Give the record of a volume; None if there is none that can be read."""
        if volume_id in self._unwritten:
            return self._unwritten[volume_id]
        try:
            return self.read(volume_id)
        except RecordUnreadable as error:
            LOG.warning(
                "%s Its place is taken by what the kernel exports now, and by Cinder's "
                "attachments.",
                error.msg,
            )
            return None

    def read(self, volume_id: str) -> Record | None:
        """Give the record of a volume; None if there is none.

        Raises:
            RecordUnreadable: it cannot be read, or is no record.
        """
        path = self._path(volume_id)
        try:
            return _record(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except _UNREADABLE as error:
            # Not the error's text: it may quote the file.
            cause = getattr(error, "strerror", None) or type(error).__name__
            raise RecordUnreadable(volume=volume_id, path=path, cause=cause) from None

    def save(self, volume_id: str, record: Record) -> None:
        """Write the record of a volume, wholly or not at all.

        Raises:
            RecordNotWritten: it could not be written; the old one is still there.
        """
        path = self._path(volume_id)
        # In one line: json's fast encoder knows no indent.
        text = json.dumps(_plain(record))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, text.encode())
        except OSError as error:
            raise RecordNotWritten(
                volume=volume_id, path=path, cause=error.strerror, cure=CURE
            ) from error
        self._unwritten.pop(volume_id, None)

    def is_written(self, volume_id: str) -> bool:
        """Say whether the file has what is known."""
        return volume_id not in self._unwritten

    def forget(self, volume_id: str) -> None:
        """Delete the record of a volume that is gone. A file that stays is told."""
        self._unwritten.pop(volume_id, None)
        path = self._path(volume_id)
        try:
            for file in (path, _draft(path)):
                file.unlink(missing_ok=True)
        except OSError as error:
            LOG.error(
                "The record %(path)s of volume %(volume)s, which is gone, cannot be "
                "deleted: %(cause)s. It has passwords of hosts that are good for "
                "nothing any more. %(cure)s The next reconcile deletes it.",
                {
                    "path": path,
                    "volume": volume_id,
                    "cause": error.strerror,
                    "cure": CURE,
                },
            )

    def volumes(self) -> Iterator[str]:
        """Give the ids of all volumes that have a record."""
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if path.suffix == _SUFFIX:
                    yield path.stem

    def _path(self, volume_id: str) -> Path:
        return self.folder / f"{volume_id}{_SUFFIX}"


def _draft(path: Path) -> Path:
    return path.with_suffix(".new")


def _replace(path: Path, content: bytes) -> None:
    """Replace a file so that after a power failure it is the old or the new one."""
    draft = _draft(path)
    draft.unlink(missing_ok=True)
    created = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(draft, created, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)  # it has passwords
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _plain(record: Record) -> dict[str, Any]:
    export, ledger = record.export, record.ledger
    return {
        "form": _FORM,
        "export": export and _plain_export(export),
        "flights": [
            {
                "identity": connection.identity,
                "since": connection.since,
                "shown": connection.shown,
                "user": connection.server,
                "undecided": connection.undecided,
                "connector": connection.connector,
                "grant": _plain_grant(connection.grant),
            }
            for connection in ledger.connections
        ],
        "ended": [
            {"attachment": key[0], "identity": key[1], "since": since}
            for key, since in ledger.ended.items()
        ],
        "current": {
            initiator.name: dataclasses.asdict(credentials)
            for initiator, credentials in ledger.current.items()
        },
        "about": record.about and dataclasses.asdict(record.about),
        "machines": {
            initiator.name: dataclasses.asdict(machine)
            for initiator, machine in ledger.machines.items()
        },
        "kept": {
            initiator.name: dataclasses.asdict(kept)
            for initiator, kept in ledger.kept.items()
        },
        "absent": {initiator.name: since for initiator, since in ledger.absent.items()},
    }


def _plain_export(export: Export) -> dict[str, Any]:
    return {
        "target": export.target,
        "device": export.device,
        "serial": export.serial,
        "portals": [
            [portal.address, portal.port] for portal in sorted(export.portals, key=str)
        ],
        "grants": [
            _plain_grant(grant)
            for grant in sorted(export.grants, key=lambda grant: grant.initiator)
        ],
        "discard": export.discard,
    }


def _plain_grant(grant: Grant) -> dict[str, Any]:
    """Give a grant so that an older version, which knows one disk, reads it too."""
    return {
        "initiator": grant.initiator.name,
        **dataclasses.asdict(grant.credentials),
        "mode": (grant.mode or Mode.RO).value,
        "main_disk": grant.mode is not None,
        "readers_disk": grant.readers_disk,
    }


def _record(plain: Mapping[str, Any]) -> Record:
    if plain["form"] != _FORM:
        raise ValueError(plain["form"])
    export = plain["export"]
    connections = (
        Connection(
            flight["identity"],
            _grant(flight["grant"]),
            _seconds(flight["since"]),
            flight["shown"],
            flight["user"],
            flight["undecided"],
            flight.get("connector", ""),
        )
        for flight in plain["flights"]
    )
    ledger = Ledger(
        connections=tuple(connections),
        ended={
            (ended["attachment"], ended["identity"]): _seconds(ended["since"])
            for ended in plain["ended"]
        },
        current={
            Initiator(name): Credentials(**pair)
            for name, pair in plain["current"].items()
        },
        machines={
            Initiator(name): Machine(**machine)
            for name, machine in plain.get("machines", {}).items()
        },
        kept={
            Initiator(name): Kept(
                Credentials(**kept["credentials"]), Machine(**kept["machine"])
            )
            for name, kept in plain.get("kept", {}).items()
        },
        absent={
            Initiator(name): since for name, since in plain.get("absent", {}).items()
        },
    )
    about = plain.get("about")
    return Record(export and _export(export), ledger, about and About(**about))


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(type(value).__name__)
    return value


def _export(plain: Mapping[str, Any]) -> Export:
    return Export(
        target=plain["target"],
        device=plain["device"],
        serial=plain["serial"],
        portals=frozenset(Portal(*portal) for portal in plain["portals"]),
        grants=frozenset(_grant(grant) for grant in plain["grants"]),
        discard=plain.get("discard", False),
    )


def _grant(plain: Mapping[str, Any]) -> Grant:
    # Older versions know the main disk only, and say nothing of disks.
    main_disk = plain.get("main_disk", True)
    return Grant(
        Initiator(plain["initiator"]),
        Credentials(plain["username"], plain["password"]),
        Mode(plain["mode"]) if main_disk else None,
        plain.get("readers_disk", False),
    )
