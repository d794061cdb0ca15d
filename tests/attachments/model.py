# SPDX-License-Identifier: Apache-2.0
"""The states of a volume and its attachments, and what each request makes of them.

Written from Cinder 29: cinder/volume/api.py (_attachment_reserve, attachment_update,
attachment_delete, reserve_volume and the like), cinder/volume/manager.py
(attachment_update), cinder/api/v3/attachments.py (complete), cinder/db/api.py
(volume_attached, volume_detached, _get_statuses_from_attachments).
"""

import collections
import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator

#: The statuses in which a volume may be reserved for one more attachment.
_FREE = {True: ("available", "in-use"), False: ("available",)}

#: What an attachment's status means for its volume, where it has another name.
_OF_VOLUME = {"attached": "in-use", "detached": "available"}

INVALID = 400
CONFLICT = 409


@dataclasses.dataclass(frozen=True)
class Row:
    """An attachment: whose it is, its status, and the host that it names."""

    server: str
    status: str = "reserved"
    host: str | None = None


@dataclasses.dataclass(frozen=True)
class Action:
    """A request.

    Attributes:
        name: of a method of :class:`State`.
        row: the place of the attachment that it is about, if it is about one.
        server: whose the new attachment is.
        host: whose connector is sent, if any is.
    """

    name: str
    row: int | None = None
    server: str | None = None
    host: str | None = None


class RefusedError(Exception):
    """Cinder refuses the request with this status, and changes nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclasses.dataclass(frozen=True)
class State:
    """A volume and its attachments.

    Attributes:
        multiattach: whether the volume is.
        rows: its attachments, the oldest first.
        status: the volume's.
        attach_status: the volume's, which no answer of the API shows.
    """

    multiattach: bool
    rows: tuple[Row, ...] = ()
    status: str = "available"
    attach_status: str = "detached"

    def after(self, action: Action) -> "State":
        """Give the state after a request.

        Raises:
            RefusedError: Cinder refuses it.
        """
        named = ((key, getattr(action, key)) for key in ("row", "server", "host"))
        arguments = {key: value for key, value in named if value is not None}
        return typing.cast(State, getattr(self, action.name)(**arguments))

    def create(self, server: str, host: str | None = None) -> "State":
        """Make an attachment, with a connector if a host is given."""
        reserved = dataclasses.replace(self, rows=(*self.rows, Row(server)))
        if self.status in _FREE[self.multiattach]:
            reserved = dataclasses.replace(reserved, status="reserved")
        elif not self._moves(server):
            raise RefusedError(INVALID)
        return reserved if host is None else reserved._connect(len(self.rows), host)

    def _moves(self, server: str) -> bool:
        """Say whether a server may have one more, as it needs for its migration."""
        known = any(row.server == server for row in self.rows)
        return self.status in ("in-use", "reserved") and known

    def update(self, row: int, host: str) -> "State":
        """Give an attachment a connector."""
        several = len(self.rows) > 1 and any(known.host for known in self.rows)
        if several and not self.multiattach:
            raise RefusedError(CONFLICT)
        return self._connect(row, host)

    def _connect(self, row: int, host: str) -> "State":
        return self._with(row, "attaching", status="attaching", host=host)

    def complete(self, row: int) -> "State":
        """Say that a host has connected, which Cinder believes in any state."""
        return self._with(row, "attached", status="in-use", host=self.rows[row].host)

    def _with(self, row: int, now: str, *, status: str, host: str | None) -> "State":
        rows = list(self.rows)
        rows[row] = dataclasses.replace(rows[row], status=now, host=host)
        return dataclasses.replace(
            self, rows=tuple(rows), status=status, attach_status=now
        )

    def delete(self, row: int) -> "State":
        """End an attachment; those that stay say what the volume is."""
        rows = (*self.rows[:row], *self.rows[row + 1 :])
        # The first in the alphabet: attached, attaching, detaching, reserved.
        now = min((known.status for known in rows), default="detached")
        return dataclasses.replace(
            self, rows=rows, status=_OF_VOLUME.get(now, now), attach_status=now
        )

    def reserve(self) -> "State":
        """os-reserve, of the API before this one."""
        if self.status not in _FREE[self.multiattach]:
            raise RefusedError(INVALID)
        return dataclasses.replace(self, status="attaching")

    def unreserve(self) -> "State":
        """os-unreserve; it is no error where nothing is reserved."""
        if self.status != "attaching":
            return self
        status = "in-use" if self.rows else "available"
        return dataclasses.replace(self, status=status)

    def begin_detaching(self) -> "State":
        """os-begin_detaching."""
        if (self.status, self.attach_status) != ("in-use", "attached"):
            raise RefusedError(INVALID)
        return dataclasses.replace(self, status="detaching")

    def roll_detaching(self) -> "State":
        """os-roll_detaching; it is no error where nothing is being detached."""
        if self.status != "detaching":
            return self
        return dataclasses.replace(self, status="in-use")


#: The requests that are about the volume alone.
VOLUME_ACTIONS = tuple(
    Action(name)
    for name in ("reserve", "unreserve", "begin_detaching", "roll_detaching")
)


def actions(state: State, most: int, *, old: bool = True) -> list[Action]:
    """Give all requests in a state.

    Args:
        state: the state.
        most: how many attachments there may be. Each new one is for a server and a host
            of its own, or for the first server again.
        old: with those of Cinder's older API, and those for a server that moves.
    """
    found = list(VOLUME_ACTIONS) if old else []
    if len(state.rows) < most:
        servers = {row.server for row in state.rows}
        new = next(name for name in "abcdefgh" if name not in servers)
        found += [
            Action("create", server=new),
            Action("create", server=new, host=new),
        ]
        if old and state.rows:
            found.append(Action("create", server=state.rows[0].server, host=new))
    for row, known in enumerate(state.rows):
        found += [
            Action("update", row=row, host=known.server),
            Action("complete", row=row),
            Action("delete", row=row),
        ]
    return found


def result(state: State, action: Action) -> State:
    """Give the state after a request, which is the same if Cinder refuses it."""
    try:
        return state.after(action)
    except RefusedError:
        return state


def walk(multiattach: bool, most: int, *, old: bool = True) -> Iterator[Action]:
    """Give a way from an available volume through every request in every state.

    After what was done last, the way goes on with the nearest request that was not
    done in its state yet. The arguments are those of :func:`actions`.
    """
    state = State(multiattach)
    done: set[tuple[State, Action]] = set()
    possible = functools.cache(functools.partial(actions, most=most, old=old))
    while way := _nearest(state, done, possible):
        for action in way:
            yield action
            done.add((state, action))
            state = result(state, action)


def _nearest(
    start: State,
    done: set[tuple[State, Action]],
    possible: Callable[[State], list[Action]],
) -> tuple[Action, ...]:
    """Give the shortest way that ends with what was not done; empty without one."""
    known = {start}
    queue: collections.deque[tuple[State, tuple[Action, ...]]]
    queue = collections.deque([(start, ())])
    while queue:
        state, way = queue.popleft()
        for action in possible(state):
            if (state, action) not in done:
                return (*way, action)
            after = result(state, action)
            if after not in known:
                known.add(after)
                queue.append((after, (*way, action)))
    return ()
