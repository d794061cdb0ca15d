# SPDX-License-Identifier: Apache-2.0
"""What is done in a run: operations by name, each an actor of its own.

An operation says by names what it is about. If that is not there any more, as in a run
that is being shrunk, it does nothing.
"""

from collections.abc import Iterator

from tests.simulate.attaching import Attaching
from tests.simulate.changing import Changing
from tests.simulate.databases import Databases
from tests.simulate.decisions import Op
from tests.simulate.hosts import Hosts
from tests.simulate.migrating import Migrating
from tests.simulate.model import Use
from tests.simulate.moves import Moves
from tests.simulate.old_attaching import OldAttaching
from tests.simulate.operators import Operators
from tests.simulate.own_connections import OwnConnections
from tests.simulate.services import Services
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: Whose methods are the operations.
_PARTS = (
    Attaching,
    OldAttaching,
    Databases,
    OwnConnections,
    Migrating,
    Moves,
    Hosts,
    Operators,
    Services,
    Changing,
)


def is_kind(name: str) -> bool:
    """Say whether there are operations of a kind."""
    return not name.startswith("_") and any(hasattr(part, name) for part in _PARTS)


class Stories:
    """The operations of one run.

    Args:
        world: where they are done.
        uses: of its volumes.

    Attributes:
        done: how many have come to their end.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world = world
        self.attaching = attaching = Attaching(world, uses)
        self.old_attaching = OldAttaching(world, uses, attaching)
        self.databases = Databases(world, uses)
        own = OwnConnections(world, uses, attaching)
        self.migrating = Migrating(world, uses, attaching, own)
        self._parts = (
            attaching,
            self.old_attaching,
            own,
            Moves(world, uses, attaching),
            Hosts(world, uses),
            Operators(world, uses),
            Services(world),
            Changing(world, uses),
            self.migrating,
            self.databases,
        )
        self.done = 0

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for part in self._parts:
            yield from part.possible()

    def end(self, use: Use) -> None:
        """End a use, by the API that it is of."""
        (self.old_attaching if use.is_old else self.attaching).end(use)

    def begin(self, number: int, op: Op) -> None:
        """Begin an operation."""
        kind, arguments = op
        owner = next(part for part in self._parts if hasattr(part, kind))

        def run() -> None:
            getattr(owner, kind)(**arguments)
            self.done += 1

        words = " ".join([kind, *arguments.values()])
        self._world.scheduler.spawn(words, self._world.api, run, name=str(number))
        self._world.scheduler.tell(f"{number} begins: {words}")
