# SPDX-License-Identifier: Apache-2.0
"""What a node is looked at for, one thing after the other, by the operator's check."""

import dataclasses
from collections.abc import Callable, Iterable

from taikun_cinder.access.model import Portal
from taikun_cinder.node import Node, Problem


class Unseen(Exception):  # noqa: N818 - it says what happened
    """What is looked at cannot be told from here.

    Attributes:
        found: why.
        cure: where it can be told.
    """

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(found)
        self.found, self.cure = found, cure


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a back end's targets are to be.

    Attributes:
        node: the node.
        portals: where they listen.
        prefixes: what their names begin with: that of new ones first, and those of all
            that are recorded.
        group: whose logical volumes they export; None if it is not known.
    """

    node: Node
    portals: tuple[Portal, ...] = ()
    prefixes: tuple[str, ...] = ()
    group: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of it could be read from the options."""
        return bool(self.portals and self.prefixes and self.group)


@dataclasses.dataclass(frozen=True)
class Look:
    """One thing that a node has to have, or must not have, for such targets.

    Attributes:
        name: of the check.
        about: what is looked at, for operators.
        fine: what is so if there is no problem.
        problems: tells them. It changes nothing, and takes ``seconds`` at most. It
            raises ``Unseen`` where it cannot be told.
        seconds: the longest that it may take.
        as_service: whether it tells something only to the user of cinder-volume.
        by_options: whether it goes by all that a ``Place`` has.
    """

    name: str
    about: str
    fine: str
    problems: Callable[[Place], Iterable[Problem]]
    seconds: float = 20
    as_service: bool = False
    by_options: bool = False
