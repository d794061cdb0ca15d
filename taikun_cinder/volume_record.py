# SPDX-License-Identifier: Apache-2.0
"""The record of one volume, and its form on disk."""

import dataclasses
import math
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taikun_cinder.access.attachment import Connection, Disks
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
from taikun_cinder.node import machine_id

#: The form of the files. Another one is not read. Its keys are older than the words of
#: ``Connection``: a flight is a connection, and a user its server. Older versions leave
#: out the keys that they do not know.
_FORM = 1


class UnknownFormError(ValueError):
    """A record has a form that this version does not know; its text says so."""


@dataclasses.dataclass(frozen=True)
class About:
    """What a record speaks of, beside the export itself.

    Attributes:
        volume: Cinder's id. The file's name is the ``name_id``, which in the end of a
            migration becomes another volume's.
        backend: whose export it is, as ``node@backend``.
        node: the name of the node whose kernel exports it.
        machine: its machine-id(5), since a node can get another name; empty if it has
            none.
        state_volume: the UUID of the state volume that it was written on, with which it
            moves; empty if it stays on its node.
        found_on: that of the one that it was read from.
    """

    volume: str
    backend: str
    node: str = dataclasses.field(default_factory=socket.gethostname)
    machine: str = dataclasses.field(default_factory=machine_id)
    state_volume: str = ""
    found_on: str = dataclasses.field(default="", compare=False)

    @property
    def is_of_this_node(self) -> bool:
        """Whether it is of this node, or came here with its volume group."""
        moved = bool(self.state_volume) and self.found_on == self.state_volume
        return moved or self.was_written_here

    @property
    def was_written_here(self) -> bool:
        """Whether this node wrote it, whatever the name of that is."""
        if self.node == socket.gethostname():
            return True
        return bool(self.machine) and self.machine == machine_id()


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
        return self.about is None or self.about.is_of_this_node

    @property
    def was_written_here(self) -> bool:
        """Whether its times are those of this node's clock."""
        return self.about is None or self.about.was_written_here

    def found_on(self, state_volume: str) -> "Record":
        """Give the record as one that was read from a state volume, by its UUID."""
        if self.about is None:
            return self
        about = dataclasses.replace(self.about, found_on=state_volume)
        return dataclasses.replace(self, about=about)

    def speaks_of(self, volume: Any) -> bool:
        """Say whether it can be about a volume of Cinder's, on this node.

        A copy that was put under another volume's name is not.
        """
        name, export, about = volume["name"], self.export, self.about
        if export is None:
            # In a migration the id of the one volume becomes the other's name_id.
            own = about is None or about.volume in (volume["id"], volume["name_id"])
            return self.is_of_this_node and own
        return (
            self.is_of_this_node
            and export.target.endswith(name)
            and Path(export.device).name == name
        )


def plain(record: Record) -> dict[str, Any]:
    """Give a record as JSON has it."""
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
                "candidates": sorted(connection.candidates),
                "idle": connection.idle,
                "rows": sorted(connection.rows),
                "reads": connection.reads,
                "grant": _plain_grant(connection.grant),
            }
            for connection in ledger.connections
        ],
        "ended": [
            {"attachment": key[0], "identity": key[1], "since": since}
            for key, since in ledger.ended.items()
        ],
        "current": {
            initiator.name: _plain_pair(credentials)
            for initiator, credentials in ledger.current.items()
        },
        "about": record.about and _plain_about(record.about),
        # Not among those, of which older versions know all.
        "state_volume": record.about.state_volume if record.about else "",
        "machines": {
            initiator.name: _plain_machine(machine)
            for initiator, machine in ledger.machines.items()
        },
        "kept": {
            initiator.name: {
                "credentials": _plain_pair(kept.credentials),
                "machine": _plain_machine(kept.machine),
            }
            for initiator, kept in ledger.kept.items()
        },
        "absent": {initiator.name: since for initiator, since in ledger.absent.items()},
        "attachments": {
            initiator.name: sorted(ids) for initiator, ids in ledger.attachments.items()
        },
        "disks": {
            id_: {
                "initiator": str(had.initiator),
                "main_disk": had.mode and had.mode.value,
                "readers_disk": had.readers_disk,
            }
            for id_, had in ledger.disks.items()
        },
    }


def _plain_about(about: About) -> dict[str, str]:
    return {
        "volume": about.volume,
        "backend": about.backend,
        "node": about.node,
        "machine": about.machine,
    }


def _plain_machine(machine: Machine) -> dict[str, str]:
    return {"host": machine.host, "address": machine.address, "uuid": machine.uuid}


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


def _plain_pair(credentials: Credentials) -> dict[str, str]:
    # Not dataclasses.asdict, which copies each string, and takes ten times as long.
    return {"username": credentials.username, "password": credentials.password}


def _plain_grant(grant: Grant) -> dict[str, Any]:
    """Give a grant so that an older version, which knows one disk, reads it too."""
    return {
        "initiator": grant.initiator.name,
        **_plain_pair(grant.credentials),
        "mode": (grant.mode or Mode.RO).value,
        "main_disk": grant.mode is not None,
        "readers_disk": grant.readers_disk,
    }


def of_plain(plain: Mapping[str, Any]) -> Record:
    """Give the record that :func:`plain` gave, or a version before.

    Raises:
        UnknownFormError: another version wrote it.
        Exception: of any kind, if it is none.
    """
    if plain["form"] != _FORM:
        raise UnknownFormError(
            f"it has the form {int(plain['form'])}, and this version reads {_FORM}"
        )
    export = plain["export"]
    connections = (
        Connection(
            _text(flight["identity"]),
            _grant(flight["grant"]),
            _seconds(flight["since"]),
            _flag(flight["shown"]),
            _name(flight["user"]),
            _flag(flight["undecided"]),
            _text(flight.get("connector", "")),
            frozenset(map(_text, flight.get("candidates", ()))),
            _flag(flight.get("idle", False)),
            frozenset(map(_text, flight.get("rows", ()))),
            _flag(flight.get("reads", False)),
        )
        for flight in plain["flights"]
    )
    ledger = Ledger(
        connections=tuple(connections),
        ended={
            (_text(ended["attachment"]), _name(ended["identity"])): _seconds(
                ended["since"]
            )
            for ended in plain["ended"]
        },
        current={
            Initiator(name): _credentials(pair)
            for name, pair in plain["current"].items()
        },
        machines={
            Initiator(name): _machine(machine)
            for name, machine in plain.get("machines", {}).items()
        },
        kept={
            Initiator(name): Kept(
                _credentials(kept["credentials"]), _machine(kept["machine"])
            )
            for name, kept in plain.get("kept", {}).items()
        },
        absent={
            Initiator(name): _seconds(since)
            for name, since in plain.get("absent", {}).items()
        },
        attachments={
            Initiator(name): frozenset(map(_text, ids))
            for name, ids in plain.get("attachments", {}).items()
        },
        disks={id_: _disks(had) for id_, had in plain.get("disks", {}).items()},
    )
    about = plain.get("about")
    if about is not None:
        state_volume = _text(plain.get("state_volume", ""))
        texts = {"machine": "", **_texts(about), "state_volume": state_volume}
        about = About(**{**texts, "found_on": ""})  # that is not the file's to say
    return Record(export and _export(export), ledger, about)


def _seconds(value: object) -> float:
    # Python reads NaN from JSON, which is neither before nor after any time.
    if not isinstance(value, (int, float)) or math.isnan(value):
        raise TypeError(type(value).__name__)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(type(value).__name__)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _name(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(plain: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(value) for key, value in plain.items()}


def _machine(plain: Mapping[str, Any]) -> Machine:
    return Machine(**_texts(plain))


def _portal(plain: Sequence[Any]) -> Portal:
    address, port = plain
    if type(port) is not int:
        raise TypeError(type(port).__name__)
    return Portal(_text(address), port)


def _credentials(plain: Mapping[str, Any]) -> Credentials:
    return Credentials(_text(plain["username"]), _text(plain["password"]))


def _export(plain: Mapping[str, Any]) -> Export:
    return Export(
        target=_text(plain["target"]),
        device=_text(plain["device"]),
        serial=_text(plain["serial"]),
        portals=frozenset(map(_portal, plain["portals"])),
        grants=frozenset(_grant(grant) for grant in plain["grants"]),
        discard=_flag(plain.get("discard", False)),
    )


def _disks(plain: Mapping[str, Any]) -> Disks:
    mode = _name(plain["main_disk"])
    return Disks(
        Initiator(_text(plain["initiator"])),
        None if mode is None else Mode(mode),
        _flag(plain["readers_disk"]),
    )


def _grant(plain: Mapping[str, Any]) -> Grant:
    # Older versions know the main disk only, and say nothing of disks.
    main_disk = _flag(plain.get("main_disk", True))
    return Grant(
        Initiator(plain["initiator"]),
        _credentials(plain),
        Mode(plain["mode"]) if main_disk else None,
        _flag(plain.get("readers_disk", False)),
    )
