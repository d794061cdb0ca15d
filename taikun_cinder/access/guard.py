# SPDX-License-Identifier: Apache-2.0
"""The guard: what becomes of a second writer, by what is on the volume.

It comes after the rules, and like them it speaks of servers: one that moves to another
host is no second writer.
"""

import dataclasses
from collections.abc import Collection

from taikun_cinder.access.contents import Look, listed
from taikun_cinder.access.model import Mode
from taikun_cinder.access.rules import Guard, RefusedError, Use

#: How those begin that stand for servers whose names are not known: connections that no
#: attachment shows (``access.identity``), and hosts (``access.servers.unasked``).
_UNSHOWN, _HOST = ("mark ", "connector "), "host "


class LookFirst(Exception):  # noqa: N818 - it says what to do
    """The decision takes a look at the volume."""


class GuardError(RefusedError):
    """The guard forbids the connection; the text is the cause.

    Attributes:
        unseen: whether it does so because the volume could not be looked at.
    """

    def __init__(self, cause: str, *, unseen: bool) -> None:
        super().__init__(cause)
        self.unseen = unseen


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the guard says to a new connection.

    Attributes:
        mode: of the connection; None if its attachment has to tell.
        look: what it went by; None if the guard has nothing to say.
        writers: the servers that may write already.
    """

    mode: Mode | None
    look: Look | None = None
    writers: frozenset[str] = frozenset()

    @property
    def is_unseen(self) -> bool:
        """Whether nobody could look at the volume."""
        return self.look is not None and bool(self.look.failure)

    @property
    def cause(self) -> str:
        """Why there should be no second writer, in words; empty if there may be."""
        if self.look is None:
            return ""
        if self.look.failure:
            return (
                f"{_named(self.writers)} may write to it, and what is on it could not "
                f"be looked at: {self.look.failure}"
            )
        found = self.look.for_one_server
        return harm(found, self.writers) if found else ""


#: There is no guard, or it has nothing to say.
SILENT = Verdict(None)


def judge(
    guard: Guard,
    servers: Collection[str],
    mode: Mode | None,
    uses: Collection[Use],
    look: Look | None,
) -> Verdict:
    """Say what a new connection may do that the rules let do something.

    Args:
        guard: the volume's.
        servers: the servers that it may be for, see ``rules.decide``.
        mode: what the rules let it do.
        uses: all other connections of the volume.
        look: at what is on the volume; None if nobody has looked yet.

    Raises:
        LookFirst: somebody has to look, and ask again.
        GuardError: it must not be made.
    """
    writers = writing(uses)
    second = frozenset(servers) - writers
    if guard is Guard.OFF or mode is Mode.RO or not writers or not second:
        return Verdict(mode)
    if look is None:
        raise LookFirst
    verdict = Verdict(mode, look, writers)
    if not verdict.cause or guard is Guard.WARN:
        return verdict
    cause, is_told = verdict.cause, second == frozenset(servers)
    if not is_told:
        cause += (
            ". Several of its attachments are being made at once, or wait for a host, "
            f"and it cannot be told which of the servers {', '.join(sorted(servers))} "
            "this one is for"
        )
    # A mode lasts as long as its attachment, so none is given by accident.
    if verdict.is_unseen or guard is Guard.DENY or not is_told:
        raise GuardError(cause, unseen=verdict.is_unseen)
    return dataclasses.replace(verdict, mode=Mode.RO)


def writing(uses: Collection[Use]) -> frozenset[str]:
    """Give the servers that may write, or perhaps will.

    The row of a server that came by Cinder's old API, or that cannot be read, names it
    and not its host, and what its host has names no server. They are one.
    """
    writers = [use for use in uses if use.writes]
    nameless = {use.initiator: use.server for use in writers if _is_nameless(use)}
    named = {use.server for use in writers if not _is_nameless(use)}
    rows = {use.server for use in writers if use.initiator is None}
    hosts_last = sorted(nameless.values(), key=lambda one: (one.startswith(_HOST), one))
    return frozenset(named.union(hosts_last[len(rows) :]))


def _is_nameless(use: Use) -> bool:
    return use.server.startswith((*_UNSHOWN, _HOST))


def harm(found: str, writers: Collection[str]) -> str:
    """Say why no other server should write beside some.

    Args:
        found: what is for one server, in words.
        writers: the servers that may write.
    """
    return (
        f"{_named(writers)} may write to it, and it has {found}, which is for one "
        "server at a time"
    )


def _named(servers: Collection[str]) -> str:
    return listed(sorted(set(map(_name, servers))))


def _name(server: str) -> str:
    if server.startswith("attachment "):
        return server
    if server.startswith(_UNSHOWN):
        return "a server that no attachment names"
    if server.startswith(_HOST):
        return f"{server}, whose attachment is missing or cannot be read,"
    return f"server {server}"
