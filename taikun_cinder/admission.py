# SPDX-License-Identifier: Apache-2.0
"""The decision on a new connection, by all that is known about its volume."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any

from taikun_cinder import connectors, extra_specs
from taikun_cinder.access import guard, rules
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.contents import Look
from taikun_cinder.access.guard import SILENT, GuardError, Verdict
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Grant, Initiator, Mode
from taikun_cinder.access.rules import Guard, Rule, Use
from taikun_cinder.access.servers import candidates, machines, uses
from taikun_cinder.exception import AttachmentGone, AttachmentRefused, InitiatorTaken
from taikun_cinder.fences import Marks

#: The statuses of a volume that its users attach, or may. In others it is Cinder itself
#: that connects to it.
_ATTACHING = ("reserved", "attaching", "in-use")


@dataclasses.dataclass(frozen=True)
class AttachRequest:
    """A host's request to be let in.

    Attributes:
        volume: Cinder's.
        connector: the host's, which gets the new connection's mark and mode.
        initiator: the host's.
        mode: what is asked for; None if the attachment's row will say.
        rule: the volume's.
        look: at what is on the volume; None as long as nobody needed one.
        since: when it came, by the clock of the ledger; it may have waited since.
        sent: the attachments that the volume had when it was sent, by their ids, and
            whether each waited for its host; None where nobody told.
        marks: of the volume's fences when it came, see ``Fences.marks``.
        identity: of its connector. It is made once, and the work for a request may be
            done again after its record was written: then it is one connection still.
    """

    volume: Any
    connector: MutableMapping[str, Any]
    initiator: Initiator
    mode: Mode | None
    rule: Rule
    look: Look | None = None
    since: float = math.inf
    sent: Mapping[str, bool] | None = None
    marks: Marks = dataclasses.field(default_factory=dict)
    identity: str = ""


@dataclasses.dataclass(frozen=True)
class Admission:
    """The decision on a new connection.

    Attributes:
        mode: None if its attachment's row will say.
        server: the server that it is for, see ``Connection``.
        identity: of its connector.
        readers_disk: whether the host gets the readers' disk, and not the main one.
        candidates: the servers that it may be for, if there are several.
        inherited: whether it may write only because its server may elsewhere, and
            nobody said what was asked for. Then the row still has a word in it.
        verdict: the guard's.
        doubtful: whether it may be for an attachment that gives its host nothing, as
            the host is fenced and others have no connector yet. Its row will say.
    """

    mode: Mode | None
    server: str | None
    identity: str
    readers_disk: bool = False
    candidates: frozenset[str] = frozenset()
    inherited: bool = False
    verdict: Verdict = SILENT
    doubtful: bool = False

    @property
    def said(self) -> Mode | None:
        """The mode, whatever the row says; None if that decides."""
        return None if self.inherited else self.mode

    def is_final(self, grant: Grant) -> bool:
        """Say whether no attachment's row can change what the host may do.

        A row can change it in four cases:

        - no row names the connection;
        - the row does not say the connection's mode yet;
        - the connection may be for an attachment that a fence has ended;
        - the host has more than this connection gives it, perhaps only because of what
          the row said before.

        Args:
            grant: its host's, by all connections that it has.
        """
        if self.server is None:
            return True
        if self.inherited or self.doubtful:
            return False
        own = (None, True) if self.readers_disk else (self.mode, False)
        return self.server != self.identity and own == (grant.mode, grant.readers_disk)


def admit(
    request: AttachRequest,
    attachments: Collection[Attachment],
    ledger: Ledger,
    can_show_readers_disk: Callable[[], bool],
    unasked: Callable[[], Iterable[Use]],
) -> Admission:
    """Decide on a new connection.

    Args:
        request: what is asked for.
        attachments: all of the volume's.
        ledger: what they do not show.
        can_show_readers_disk: says whether the volume's target can. Asked only for a
            host that may only read.
        unasked: gives the uses of other hosts that keep an access that nothing asks
            for. Asked only if the volume's rule limits anything.

    Raises:
        AttachmentGone: what it was for was ended meanwhile.
        AttachmentRefused: the volume's rule forbids it, or its guard does.
        InitiatorTaken: another machine has the volume by the same initiator.
        LookFirst: somebody has to look at what is on the volume, and ask again.
    """
    _refuse_namesake(request, attachments, ledger)
    servers = _servers(request, attachments, ledger)
    identity = request.identity
    if not servers:
        # Cinder itself writes to read-only volumes, too, when it restores a backup.
        return Admission(Mode.RW, None, identity)
    others = tuple(uses(attachments, ledger))
    if request.rule.limits or request.rule.guard is not Guard.OFF:
        others = (*others, *unasked())
    try:
        mode = rules.decide(
            request.rule, request.initiator, servers, request.mode, others
        )
        verdict = guard.judge(request.rule.guard, servers, mode, others, request.look)
    except rules.RefusedError as error:
        raise AttachmentRefused(
            volume=request.volume["id"],
            host=connectors.host_of(request.connector),
            cause=error,
            cure=_cure(error),
        ) from error
    mode = verdict.mode
    several = servers if len(servers) > 1 else frozenset()
    server = identity if several else next(iter(servers))
    readers_disk = mode is Mode.RO and can_show_readers_disk()
    inherited = request.mode is None and mode is Mode.RW
    return Admission(mode, server, identity, readers_disk, several, inherited, verdict)


def _servers(
    request: AttachRequest, attachments: Collection[Attachment], ledger: Ledger
) -> frozenset[str]:
    """Give the servers that a request may be for; none where it is Cinder's own.

    Raises:
        AttachmentGone: what it was for was ended meanwhile.
    """
    names = connectors.names_attachment(request.connector)
    if names:
        servers = _of_an_attachment(request, attachments, ledger)
    else:
        servers = candidates(attachments, ledger, request.initiator)
    if not servers and (names or request.volume["status"] in _ATTACHING):
        # Cinder's os-initialize_connection, which has no row before os-attach. Or an
        # attachment of another host, which is given to this one.
        return frozenset({request.identity})
    return servers


def _of_an_attachment(
    request: AttachRequest, attachments: Collection[Attachment], ledger: Ledger
) -> frozenset[str]:
    """Give the servers that a request for an attachment may be for.

    PUT /attachments/ID reads the volume after the attachment, so it is for one that the
    volume was sent with.

    Raises:
        AttachmentGone: what it was for was ended meanwhile.
    """
    older = attachments
    if request.sent and not _makes_its_own(request):
        older = [one for one in attachments if one.id in request.sent]
    servers = candidates(older, ledger, request.initiator)
    if any(not one.connected for one in older):
        return servers
    if _is_late(request, older, attachments, ledger, repeats=bool(servers)):
        raise AttachmentGone(
            volume=request.volume["id"], host=connectors.host_of(request.connector)
        )
    # One that was ended, and stays: if it goes, so does what is granted here.
    own = {one.server for one in older if one.initiator == request.initiator}
    there = servers or frozenset(own)
    return there or candidates(attachments, ledger, request.initiator)


def _is_late(
    request: AttachRequest,
    older: Collection[Attachment],
    attachments: Collection[Attachment],
    ledger: Ledger,
    *,
    repeats: bool,
) -> bool:
    """Say whether a request's attachment ended while it waited, where none waits.

    Cinder's manager looks at the row before, and nobody does later. Who was let in
    without one would be taken for a host of the old API, for Cinder itself, or for
    another server.

    Args:
        request: for an attachment.
        older: the attachments that it may be for.
        attachments: all of the volume's.
        ledger: what they do not show.
        repeats: whether it may be for one that its host has.
    """
    sent = request.sent or {}
    missing = sent.keys() - {one.id for one in attachments}
    if any(sent[id_] for id_ in missing):
        return True
    if repeats:
        return False
    if _makes_its_own(request):
        return True  # it would be waiting
    own = [one for one in older if one.initiator == request.initiator]
    if own:
        # What a fence has ended is for ever, and has its own refusal.
        ends = [ledger.ended.get(one.key, -math.inf) for one in own]
        others = [end for end in ends if end < math.inf]
        return bool(others) and all(request.since <= end for end in others)
    if request.sent is None:
        return not attachments
    # Otherwise one of another host is given to this one. And if there was none at all,
    # it is of os-initialize_connection, by who adds such keys there, too.
    return bool(missing)


def _makes_its_own(request: AttachRequest) -> bool:
    """Say whether a request makes its attachment: that has no mode yet."""
    return "mode" in request.connector and request.connector["mode"] is None


def _cure(error: rules.RefusedError) -> str:
    if isinstance(error, GuardError):
        return extra_specs.cure_of_guard(unseen=error.unseen)
    return extra_specs.cure_of_refusal()


def _refuse_namesake(
    request: AttachRequest, attachments: Collection[Attachment], ledger: Ledger
) -> None:
    machine = connectors.machine_of(request.connector)
    for other in machines(attachments, ledger, request.initiator):
        if other.is_another(machine):
            raise InitiatorTaken(
                volume=request.volume["id"],
                host=machine,
                other=other,
                initiator=request.initiator,
            )
