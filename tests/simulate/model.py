# SPDX-License-Identifier: Apache-2.0
"""Hosts, and servers' uses of volumes, as those who ask for them know them."""

import contextvars
import dataclasses
from typing import Any

from taikun_cinder.access.model import Credentials, Initiator
from tests.simulate.backends import Request
from tests.simulate.kernels import Session
from tests.simulate.locks import Lock

#: The request that an actor works for, as oslo.context has it for a thread.
REQUEST = contextvars.ContextVar("REQUEST", default="")


@dataclasses.dataclass(frozen=True)
class Context:
    """What stands for the context of a request."""

    request_id: str = ""
    project_id: str = "project"

    def elevated(self) -> "Context":
        return self

    def serve(self) -> "Context":
        """Let the actor that calls this work for the request."""
        REQUEST.set(self.request_id)
        return self


@dataclasses.dataclass(eq=False)
class Host:
    """A host that attaches volumes.

    Attributes:
        sessions: by the name of a target, its session and what it logged in with.
        locks: by volume, that of os-brick.
        terminated: when its connection of a volume was ended last by a connector
            without a mark, by the volume and how.
        is_down: whether it has no power.
    """

    name: str
    sessions: dict[str, tuple[Session, Credentials]] = dataclasses.field(
        default_factory=dict
    )
    locks: dict[str, Lock] = dataclasses.field(default_factory=dict)
    terminated: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    is_down: bool = False

    @property
    def initiator(self) -> Initiator:
        """Its name."""
        return Initiator(f"iqn.2026-11.com.example:{self.name}")

    def connector(self, *, own: bool = False) -> dict[str, Any]:
        """Give a connector of it.

        Args:
            own: whether it is for Cinder itself. It tells more than one by hand, so a
                detach by force does not mean it.
        """
        return {
            **({"os_type": "linux2"} if own else {}),
            "host": self.name,
            "initiator": self.initiator.name,
            "ip": f"192.0.2.{100 + int(self.name[1:])}",
            "multipath": False,
        }


@dataclasses.dataclass(eq=False)
class Use:
    """A server's use of a volume on a host, as those who asked for it know it.

    Attributes:
        volume: its id.
        attachment: the id of its attachment; empty if it has none.
        writes: whether the server may write to it.
        wish: the mode that was asked for.
        state: ``reserved``, ``asked``, ``granted``, ``ending`` or ``ended``.
        requests: to let its host in, also those that were given up.
        session: its disk, as long as the host is logged in.
        lun: of its disk.
        boots: how often the storage node had booted when it logged in.
        information: what its host was told.
        left: since when nobody knows whether it was ended; None if that is known.
        may_be_cut_off: whether somebody has asked for that.
        is_fenced: whether an operator was told that it is.
        missing_since: how many passes there had been when its row was lost; None if
            the database has it.
        since: how often the disk had failed when its end began.
        asks: whether it was asked, once more, to let its server write, and no pass has
            come since.
        is_asking: whether that is under way.
        mode_is_late: whether Cinder wrote its mode after the host was let in, and no
            pass has come since. Until then it may only read.
        is_old: whether it is by Cinder's old API.
        beside: the uses of the attachments API that there were on its host when it was
            connected by the old one. It may be taken for one of them.
        is_guessed: whether another waited for its host when it was connected by the old
            API, or to be copied. It may be taken for that one.
        is_unknown: whether it is by Cinder's old API, and the volume was not reserved
            for it. Then it may be taken for one of Cinder's own.
        is_late: whether it is by Cinder's old API, and had no attachment yet when its
            host was fenced. A request that is repeated then is let in.
        type: the id of its volume's type when its request was made; None for none.
        granted: when its host was told how to log in last.
        is_left_in: whether it was ended by os-force_detach, and it was not known what
            that meant.
        is_seen: whether a pass has come since its attachment was made.
        is_told_to_write: whether its host was told that it may, whatever was asked for;
            or the answer was lost.
        is_repeated: whether its request was repeated. Only the record knows which disk
            its host goes on with.
        lingers: whether it is over, and its host could write by it and has others,
            and no pass has come since.
        places: the paths that the volume's logical volume had when it was asked for.
            A migration gives the volume another one.
    """

    volume: str
    server: str
    host: Host
    attachment: str
    writes: bool
    state: str = "reserved"
    requests: list[Request] = dataclasses.field(default_factory=list)
    session: Session | None = None
    lun: int = 0
    boots: int = 0
    information: dict[str, Any] = dataclasses.field(default_factory=dict)
    left: float | None = None
    may_be_cut_off: bool = False
    is_fenced: bool = False
    asks: bool = False
    is_asking: bool = False
    since: int = 0
    missing_since: int | None = None
    wish: str = ""
    mode_is_late: bool = False
    is_old: bool = False
    beside: "list[Use]" = dataclasses.field(default_factory=list)
    is_guessed: bool = False
    is_unknown: bool = False
    is_late: bool = False
    type: str | None = None
    granted: float = 0.0
    is_left_in: bool = False
    is_seen: bool = False
    is_told_to_write: bool = False
    is_repeated: bool = False
    lingers: bool = False
    places: set[str] = dataclasses.field(default_factory=set)

    @property
    def is_there(self) -> bool:
        """Whether it is not over."""
        return self.state != "ended"

    @property
    def is_in_use(self) -> bool:
        """Whether its server has the volume by an attachment."""
        return self.state == "granted" and bool(self.attachment and self.session)

    @property
    def has_late_mode(self) -> bool:
        """Whether a pass decides what its host may do."""
        known = self.state == "granted" and self.missing_since is None
        asking = self.is_asking or any(one.is_pending for one in self.requests)
        return known and not asking and (self.mode_is_late or self.asks)

    @property
    def may_be_forgotten(self) -> bool:
        """Whether nobody may know of what was answered for it."""
        return self.left is not None or any(one.is_lost for one in self.requests)

    @property
    def may_reach(self) -> bool:
        """Whether its host may be let in for it."""
        if self.is_fenced:
            # As long as it may be for another server's new attachment, see Admission.
            return any(one.is_pending or one.is_young for one in self.requests)
        if self.state in ("asked", "granted", "ending") or self.left is not None:
            return True
        return any(one.is_pending or one.is_lost for one in self.requests)
