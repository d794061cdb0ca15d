# SPDX-License-Identifier: Apache-2.0
"""What a node is looked at for, one thing after the other, by the operator's check."""

import dataclasses
from collections.abc import Callable, Iterable

from taikun_cinder.access.model import Portal
from taikun_cinder.node import Node, Problem


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


@dataclasses.dataclass(frozen=True)
class Look:
    """One thing that a node has to have, or must not have, for such targets.

    Attributes:
        name: of the check.
        about: what is looked at, for operators.
        fine: what is so if there is no problem.
        problems: tells them. It changes nothing, and takes ``seconds`` at most.
        seconds: the longest that it may take.
        as_service: whether it tells something only to the user of cinder-volume.
    """

    name: str
    about: str
    fine: str
    problems: Callable[[Place], Iterable[Problem]]
    seconds: float = 20
    as_service: bool = False
