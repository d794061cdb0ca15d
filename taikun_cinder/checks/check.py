# SPDX-License-Identifier: Apache-2.0
"""A check: its name, what it looks at, and how long it may take."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator

from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding
from taikun_cinder.cli.backends import Backend

#: What looks: it gives what it finds, as soon as it knows it.
Look = Callable[[], Iterable[Finding]]


_LATE = "See what it waits for, with the log at debug level (--debug)."


@dataclasses.dataclass(frozen=True)
class NodeCheck:
    """A check that concerns the whole node.

    Attributes:
        name: of it, for operators.
        about: what has to be so, for the documents.
        look: looks.
        seconds: the longest that it may take.
        late: what to do if it takes longer.
        as_service: whether only the user of cinder-volume can tell.
    """

    name: str
    about: str
    look: Callable[[Facts], Iterable[Finding]]
    seconds: float = 20
    late: str = _LATE
    as_service: bool = False

    def looks(self, facts: Facts) -> Iterator[tuple[str, Look]]:
        """Give the one look that it takes."""
        yield "", functools.partial(self.look, facts)


@dataclasses.dataclass(frozen=True)
class BackendCheck:
    """A check of each back end; its attributes are those of a :class:`NodeCheck`."""

    name: str
    about: str
    look: Callable[[Facts, Backend], Iterable[Finding]]
    seconds: float = 20
    late: str = _LATE
    as_service: bool = False

    def looks(self, facts: Facts) -> Iterator[tuple[str, Look]]:
        """Give the look at each back end."""
        for backend in facts.backends:
            yield backend.name, functools.partial(self.look, facts, backend)


#: Any check.
Check = NodeCheck | BackendCheck
