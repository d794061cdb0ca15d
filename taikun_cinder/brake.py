# SPDX-License-Identifier: Apache-2.0
"""The brake on mass revocation: what missing rows may take from live hosts.

A database restored from last night, a replica that lags behind, an empty schema: to a
reconcile all of these look as if attachments were gone. So a host that is logged in
loses its access by a reconcile only if its rows were missing in two passes, if the
database knows at least the service itself, and if it is one of a few. A request of
Cinder's, or a row that Cinder has marked as deleted, needs none of this.
"""

import dataclasses
import enum
from collections.abc import Callable, Collection

from oslo_log import log as logging

from taikun_cinder.access.model import Initiator

LOG = logging.getLogger(__name__)

#: What an operator does about it.
_CURE = (
    "If the database is at fault, put it right: nobody who is logged in has lost "
    "access by this, and the next pass goes by the right rows. If these hosts have no "
    "attachment by right, confirm it on this node, as the user of cinder-volume, with "
    "taikun-cinder reconcile --yes"
)


@dataclasses.dataclass(frozen=True, order=True)
class Revocation:
    """The end of a live host's access, that only missing rows ask for."""

    volume: str
    initiator: Initiator

    def __str__(self) -> str:
        return f"volume {self.volume} for {self.initiator}"


class Reason(enum.StrEnum):
    """Why a pass left revocations undone."""

    MISSING_ONCE = "missing_once"
    DATABASE_UNKNOWN = "database_unknown"
    OVER_LIMIT = "over_limit"


@dataclasses.dataclass(frozen=True)
class Held:
    """The revocations that a pass has left undone.

    Attributes:
        revocations: they; none as a rule.
        reason: why they were left.
    """

    revocations: tuple[Revocation, ...] = ()
    reason: Reason = Reason.MISSING_ONCE


class Brake:
    """Holds such revocations of one back end back until they may be.

    Args:
        limit: how many may be in one pass.
        trusted: says whether the database can be believed.
    """

    def __init__(self, limit: int, trusted: Callable[[], bool]) -> None:
        self.limit = limit
        #: What the last pass has left undone.
        self.held = Held()
        self._trusted = trusted
        self._before: frozenset[Revocation] = frozenset()
        self._now: set[Revocation] = set()
        self._released: frozenset[Revocation] = frozenset()
        self._confirmed = False
        #: By volume, the attachments that were missing in the last pass, and in this.
        self._missed_before: dict[str, frozenset[str]] = {}
        self._missed_now: dict[str, frozenset[str]] = {}

    def begin(self, *, confirmed: bool = False) -> None:
        """Begin a pass.

        Args:
            confirmed: whether an operator wants all of them done.
        """
        self._now, self._released = set(), frozenset()
        self._missed_before, self._missed_now = self._missed_now, {}
        self._confirmed = confirmed

    def hold(
        self, volume: str, initiators: Collection[Initiator]
    ) -> frozenset[Initiator]:
        """Give those of a volume's live initiators that keep their access for now."""
        if self._confirmed:
            return frozenset()
        asked = {Revocation(volume, initiator) for initiator in initiators}
        self._now |= asked
        return frozenset(revocation.initiator for revocation in asked - self._released)

    def missed(self, volume: str, attachments: Collection[str]) -> frozenset[str]:
        """Give those of a volume's missing attachments that are missing for good.

        Their hosts lose nothing by it. They were missing in the last pass, too, or an
        operator has confirmed it.
        """
        self._missed_now[volume] = missing = frozenset(attachments)
        if self._confirmed:
            return missing
        twice = missing & self._missed_before.get(volume, frozenset())
        return twice if twice and self._trusted() else frozenset()

    def end(self) -> frozenset[str]:
        """End a pass; give the volumes that may be put right now, in another look."""
        twice = sorted(self._before & self._now)
        once = sorted(self._now - self._before)
        missing = sorted(self._now)
        self._before = frozenset(self._now)
        self.held = Held(tuple(once))
        if once:
            LOG.warning(
                "Attachments of hosts that are logged in are missing in the database, "
                "and no detach was asked for. If they are missing in the next pass "
                "too, these hosts lose their access: %s",
                _words(once),
            )
        if not twice:
            return frozenset()
        if not self._trusted():
            self.held = Held(tuple(missing), Reason.DATABASE_UNKNOWN)
            LOG.error(
                "%(count)d accesses of hosts that are logged in have no attachment in "
                "the database, and it does not have the row of this service either, so "
                "it is not believed. They stay: %(words)s. Look whether connection in "
                "[database] is cinder-api's, and whether the database is whole.",
                {"count": len(twice), "words": _words(twice)},
            )
            return frozenset()
        # Also if most of them are missing for the first time: a loss can go on.
        if len(missing) > self.limit:
            self.held = Held(tuple(missing), Reason.OVER_LIMIT)
            LOG.error(
                "%(count)d accesses of hosts that are logged in have no attachment in "
                "the database, more than the %(limit)d that taikun_max_revocations "
                "lets a reconcile end. All of them stay: %(words)s. %(cure)s.",
                {
                    "count": len(missing),
                    "limit": self.limit,
                    "words": _words(missing),
                    "cure": _CURE,
                },
            )
            return frozenset()
        self._released = frozenset(twice)
        return frozenset(revocation.volume for revocation in twice)


def _words(revocations: Collection[Revocation]) -> str:
    return ", ".join(map(str, revocations))
