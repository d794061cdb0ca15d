# SPDX-License-Identifier: Apache-2.0
"""Which mode a new attachment gets, and whether it may be at all.

The rules speak of servers, not of hosts: a server that is on its way from one host to
another has two attachments for a while, and is still one writer.
"""

import dataclasses
import enum
from collections.abc import Collection

from taikun_cinder.access.model import Initiator, Mode


class Secondary(enum.Enum):
    """What a server gets when another one has the volume already."""

    RW = "rw"
    RO = "ro"
    DENY = "deny"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a volume's type and its back end allow.

    Attributes:
        secondary: for a server that is not the first: what it asks for; only to read
            while another may write; or nothing.
        max_hosts: how many hosts may have the volume; 0 for any number.
    """

    secondary: Secondary = Secondary.RW
    max_hosts: int = 0


@dataclasses.dataclass(frozen=True)
class Use:
    """A connection that there is, as the rules see it.

    Attributes:
        user: the server, or what stands for one that is not named.
        initiator: None if it cannot be told.
        writes: whether it may write, or perhaps will.
    """

    user: str
    initiator: Initiator | None
    writes: bool


@dataclasses.dataclass(frozen=True)
class Request:
    """A connection that is asked for.

    Attributes:
        initiator: for which host.
        users: for which server. Cinder does not tell a driver, so these are all that
            it may be for; never empty.
        asked: what the server wants to do; None if Cinder writes that down later.
    """

    initiator: Initiator
    users: Collection[str]
    asked: Mode | None


class RefusedError(Exception):
    """A rule is against it; the text is the cause."""


def decide(rule: Rule, request: Request, uses: Collection[Use]) -> Mode | None:
    """Say what the new connection may do; None if its row has to tell.

    Args:
        rule: the volume's.
        request: what is asked for.
        uses: all other connections of the volume.

    Raises:
        RefusedError: it must not be made.
    """
    outcomes = {user: _outcome(rule, request, user, uses) for user in request.users}
    if len(set(outcomes.values())) > 1:
        raise RefusedError(
            "several of its attachments are being made at once, it cannot be told "
            f"which of the servers {', '.join(sorted(outcomes))} this one is for, and "
            "the volume's rule for second attachments treats them differently"
        )
    outcome = next(iter(outcomes.values()))
    if isinstance(outcome, str):
        raise RefusedError(outcome)
    return outcome


def _outcome(
    rule: Rule, request: Request, user: str, uses: Collection[Use]
) -> Mode | str | None:
    """Give the mode, None if it is not known yet, or the cause of a refusal."""
    others = [one for one in uses if one.user != user]
    own = [one for one in uses if one.user == user]
    hosts = {one.initiator for one in others if one.initiator is not None}
    if others and rule.secondary is Secondary.DENY:
        return (
            "it is attached to another server, and its rule for second attachments "
            "is 'deny'"
        )
    if 0 < rule.max_hosts < len(hosts | {request.initiator}):
        return (
            f"it is attached to {len(hosts)} host(s), and its limit is {rule.max_hosts}"
        )
    asked = request.asked
    if asked is None and own:
        # A server on the move: it goes on with what it has (Nova's live migration
        # asks in one request, and so without a mode).
        asked = Mode.RW if any(one.writes for one in own) else Mode.RO
    if rule.secondary is Secondary.RO and any(one.writes for one in others):
        return Mode.RO
    return asked
