# SPDX-License-Identifier: Apache-2.0
"""What the driver knows about a volume and Cinder does not: a small file for each.

It has the export as it was left last, so that hosts get their disks back after a reboot
though the database is not there yet, and the answers that Cinder's rows do not show yet
(``access.grants.Memory``), so that neither a restart nor a second process forgets one.

A file is read and written under the lock of its volume. It is written after the kernel
was changed and before Cinder is answered. So a file that is older than the kernel only
leaves out what nobody was told.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from taikun_cinder.access.grants import Memory
from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    Initiator,
    Mode,
    Portal,
)
from taikun_cinder.access.rows import Flight
from taikun_cinder.exception import RecordNotWritten, RecordUnreadable

LOG = logging.getLogger(__name__)

#: The form of the files. Another one is not read.
_FORM = 1

_SUFFIX = ".json"


@dataclasses.dataclass(frozen=True)
class Record:
    """What was made so for one volume.

    Attributes:
        export: what is in the kernel; None for nothing.
        memory: what was answered and is not in the rows.
    """

    export: Export | None = None
    memory: Memory = dataclasses.field(default_factory=Memory)


class Records:
    """The records of the volumes of a node.

    Args:
        folder: where. It is made at the first write, and is its owner's alone, since
            the records have the passwords of hosts. It has to outlive a reboot, and no
            other node may share it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, volume_id: str) -> Record | None:
        """Give the record of a volume; None if there is none that can be read."""
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
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
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
                volume=volume_id, path=path, cause=error.strerror
            ) from error

    def forget(self, volume_id: str) -> None:
        """Delete the record of a volume that is gone."""
        self._path(volume_id).unlink(missing_ok=True)

    def volumes(self) -> Iterator[str]:
        """Give the ids of all volumes that have a record."""
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if path.suffix == _SUFFIX:
                    yield path.stem

    def _path(self, volume_id: str) -> Path:
        return self.folder / f"{volume_id}{_SUFFIX}"


def _replace(path: Path, content: bytes) -> None:
    """Replace a file so that after a power failure it is the old or the new one."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    created = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(draft, created, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _plain(record: Record) -> dict[str, Any]:
    export, memory = record.export, record.memory
    return {
        "form": _FORM,
        "export": export and _plain_export(export),
        "flights": [
            {
                "identity": one.identity,
                "since": one.since,
                "shown": one.shown,
                "user": one.user,
                "undecided": one.undecided,
                "grant": _plain_grant(one.grant),
            }
            for one in memory.flights
        ],
        "ended": [
            {"attachment": key[0], "identity": key[1], "since": since}
            for key, since in memory.ended.items()
        ],
        "current": {
            who.name: dataclasses.asdict(pair) for who, pair in memory.current.items()
        },
    }


def _plain_export(export: Export) -> dict[str, Any]:
    return {
        "target": export.target,
        "device": export.device,
        "serial": export.serial,
        "portals": [[one.address, one.port] for one in sorted(export.portals, key=str)],
        "grants": [
            _plain_grant(one)
            for one in sorted(export.grants, key=lambda one: one.initiator)
        ],
    }


def _plain_grant(grant: Grant) -> dict[str, str]:
    return {
        "initiator": grant.initiator.name,
        **dataclasses.asdict(grant.credentials),
        "mode": grant.mode.value,
    }


def _record(plain: Mapping[str, Any]) -> Record:
    if plain["form"] != _FORM:
        raise ValueError(plain["form"])
    export = plain["export"]
    flights = (
        Flight(
            one["identity"],
            _grant(one["grant"]),
            one["since"],
            one["shown"],
            one["user"],
            one["undecided"],
        )
        for one in plain["flights"]
    )
    memory = Memory(
        flights=tuple(flights),
        ended={
            (one["attachment"], one["identity"]): one["since"] for one in plain["ended"]
        },
        current={
            Initiator(name): Credentials(**pair)
            for name, pair in plain["current"].items()
        },
    )
    return Record(export and _export(export), memory)


def _export(plain: Mapping[str, Any]) -> Export:
    return Export(
        target=plain["target"],
        device=plain["device"],
        serial=plain["serial"],
        portals=frozenset(Portal(*one) for one in plain["portals"]),
        grants=frozenset(_grant(one) for one in plain["grants"]),
    )


def _grant(plain: Mapping[str, str]) -> Grant:
    return Grant(
        Initiator(plain["initiator"]),
        Credentials(plain["username"], plain["password"]),
        Mode(plain["mode"]),
    )
