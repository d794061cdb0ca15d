# SPDX-License-Identifier: Apache-2.0
"""The rules that decide on a new attachment: whether it may be, and its mode.

The rules speak of servers, not of hosts: a server that is on its way from one host to
another has two attachments for a while, and is still one writer.
"""

import dataclasses
import enum
from collections.abc import Collection

from taikun_cinder.access.model import Initiator, Mode


class Secondary(enum.Enum):
    """The mode that a server gets when another one has the volume already."""

    RW = "rw"
    RO = "ro"
    DENY = "deny"


class Guard(enum.Enum):
    """What becomes of a second writer, where what is on a volume is for one server."""

    OFF = "off"
    WARN = "warn"
    RO = "ro"
    DENY = "deny"


@dataclasses.dataclass(frozen=True)
class Rule:
    """The limits that a volume's type and its back end set.

    Attributes:
        secondary: for a server that is not the first: what it asks for; only to read
            while another may write; or nothing.
        max_hosts: how many hosts may have the volume; 0 for any number.
        guard: see ``guard.judge``.
    """

    secondary: Secondary = Secondary.RW
    max_hosts: int = 0
    guard: Guard = Guard.OFF

    @property
    def limits(self) -> bool:
        """Whether it forbids anything, whatever is on the volume."""
        return self.secondary is not Secondary.RW or self.max_hosts > 0


@dataclasses.dataclass(frozen=True)
class Use:
    """An existing connection, as the rules see it.

    Attributes:
        server: the server, or what stands for one that is not named.
        initiator: None if it cannot be told.
        writes: whether the server may write, or perhaps will.
        undecided: whether that is not known yet.
        attached: whether an attachment shows it, or may yet.
    """

    server: str
    initiator: Initiator | None
    writes: bool
    undecided: bool = False
    attached: bool = True


#: Nova's live migration makes the attachment on the new host, and deletes that on the
#: old one when the server has arrived; no other move needs two at once. Both are
#: complete all the time (pre_live_migration() in nova/compute/manager.py), so their
#: rows do not tell whether the server still moves.
_HOSTS_OF_A_MOVE = 2


class RefusedError(Exception):
    """A rule forbids the connection; the text is the cause."""


def decide(
    rule: Rule,
    initiator: Initiator,
    servers: Collection[str],
    mode: Mode | None,
    uses: Collection[Use],
) -> Mode | None:
    """Decide what a new connection may do.

    Args:
        rule: the volume's.
        initiator: of the host that connects.
        servers: for which server. Cinder does not tell a driver, so these are all that
            it may be for; never empty.
        mode: what is asked for; None if Cinder writes that down later.
        uses: all other connections of the volume.

    Returns:
        the mode; None if the connection's attachment has to tell, as it must where it
        cannot be told which server it is for, and the rule limits nothing.

    Raises:
        RefusedError: it must not be made.
    """
    decisions = {
        server: _decision(rule, initiator, server, mode, uses) for server in servers
    }
    if len(set(decisions.values())) > 1:
        if not rule.limits:
            return None
        raise RefusedError(
            "several of its attachments are being made at once, it cannot be told "
            f"which of the servers {', '.join(sorted(decisions))} this one is for, and "
            "the volume's rule for second attachments treats them differently"
        )
    decision = next(iter(decisions.values()))
    if isinstance(decision, str):
        raise RefusedError(decision)
    return decision


def _decision(
    rule: Rule,
    initiator: Initiator,
    server: str,
    mode: Mode | None,
    uses: Collection[Use],
) -> Mode | str | None:
    """Give the mode, None if it is not known yet, or the cause of a refusal."""
    others = [use for use in uses if use.server != server]
    own = [use for use in uses if use.server == server]
    hosts = {use.initiator for use in others if use.initiator is not None}
    left = {use.initiator for use in own if use.attached} - {initiator}
    old = {host for host in left if host is not None}
    if rule.limits and len(old) >= _HOSTS_OF_A_MOVE:
        return (
            f"server {server} has it on {len(old)} other hosts, "
            f"{' and '.join(sorted(map(str, old)))}, and a server that moves is on two "
            "at most, the old one and the new one"
        )
    if others and rule.secondary is Secondary.DENY:
        return (
            "it is attached to another server, and its rule for second attachments "
            "is 'deny'"
        )
    if 0 < rule.max_hosts < len(hosts | {initiator}):
        return (
            f"it is attached to {len(hosts)} host(s), and its limit is {rule.max_hosts}"
        )
    decided = [use for use in own if not use.undecided]
    if mode is None and decided:
        # A server on the move goes on with what it has (Nova's live migration asks in
        # one request, and so without a mode).
        mode = Mode.RW if any(use.writes for use in decided) else Mode.RO
    if rule.secondary is Secondary.RO and any(use.writes for use in others):
        return Mode.RO
    return mode
