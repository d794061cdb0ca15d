# SPDX-License-Identifier: Apache-2.0
"""The volumes that several servers may write to: now and then somebody looks at them.

A server may make a file system after the others were attached, and what it wrote may
have been in its memory only when the guard looked. Nothing is done about it but to say
so: an attached host never loses its disk because of someone else (law 1).
"""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Container, Mapping
from typing import Any

from cinder import exception
from oslo_log import log as logging

from taikun_cinder import database, extra_specs
from taikun_cinder.access.contents import Look
from taikun_cinder.access.guard import harm
from taikun_cinder.access.rules import Guard

LOG = logging.getLogger(__name__)

#: How long the look at a volume is good for, in seconds, and how many are looked at
#: after one pass of the reconcile at most.
PERIOD, SHARE = 600.0, 4

#: For how many volumes it is asked after one pass at most whether they have a guard.
ASKED = 100


@dataclasses.dataclass(frozen=True)
class Endangered:
    """A volume that several servers may write to, though what is on it is for one.

    Attributes:
        found: what is for one server, in words.
        writers: the servers that may write.
    """

    found: str
    writers: frozenset[str]


class SharedVolumes:
    """The volumes of a back end that several servers may write to.

    Args:
        look: at what is on a volume.
        is_guarded: says whether a volume, by its id, has a guard.

    Attributes:
        endangered: by the ids of the volumes, what was found last. A reader has it as
            of one moment: it is never changed, but replaced.
    """

    def __init__(
        self, look: Callable[[Any], Look], is_guarded: Callable[[str], bool]
    ) -> None:
        self.endangered: Mapping[str, Endangered] = {}
        self._look, self._is_guarded = look, is_guarded
        self._volumes: dict[str, tuple[Any, frozenset[str]]] = {}
        self._looked: dict[str, float] = {}
        self._guard = threading.Lock()

    def note(self, volume: Any, writers: frozenset[str]) -> None:
        """Hear which servers may write to a volume."""
        with self._guard:
            if len(writers) > 1:
                self._volumes[volume["id"]] = volume, writers
                if known := self.endangered.get(volume["id"]):
                    self._say(volume["id"], Endangered(known.found, writers))
            else:
                self._forget(volume["id"])

    def keep(self, volumes: Container[str]) -> None:
        """Forget all but these volumes."""
        with self._guard:
            for volume_id in [one for one in self._volumes if one not in volumes]:
                self._forget(volume_id)

    def _forget(self, volume_id: str) -> None:
        self._volumes.pop(volume_id, None)
        self._looked.pop(volume_id, None)
        self._say(volume_id, None)

    def look(self, ends: Callable[[], bool] = lambda: False) -> None:
        """Look at the next few volumes whose turn it is.

        Args:
            ends: says whether there is no time any more.
        """
        looks = 0
        for volume_id in self.due():
            if looks == SHARE or ends():
                return
            looks += self._look_at(volume_id)

    def due(self) -> list[str]:
        """Give the ids of volumes whose turn it is, and first who waits the longest."""
        before = time.monotonic() - PERIOD
        with self._guard:
            looked = {one: self._looked.get(one, -math.inf) for one in self._volumes}
        waiting = [one for one, at in looked.items() if at <= before]
        return sorted(waiting, key=lambda one: looked[one])[:ASKED]

    def _look_at(self, volume_id: str) -> bool:
        """Look at a volume; say whether it has a guard."""
        with self._guard:
            if volume_id not in self._volumes:
                return False
            volume, _ = self._volumes[volume_id]
            self._looked[volume_id] = time.monotonic()
        if not self._is_guarded(volume_id):
            with self._guard:
                self._drop(volume_id)
            return False
        look = self._look(volume)
        if look.failure:  # what was found before may be there still
            LOG.debug("Volume %s could not be looked at: %s", volume_id, look.failure)
            return True
        found = look.for_one_server
        with self._guard:
            if volume_id in self._volumes:
                _, writers = self._volumes[volume_id]
                self._say(volume_id, Endangered(found, writers) if found else None)
        return True

    def _drop(self, volume_id: str) -> None:
        if volume_id in self.endangered:
            self._set(volume_id, None)
            LOG.info(
                "Volume %s: nobody looks any more what several servers write to, since "
                "it has no guard now, or its type cannot be read.",
                volume_id,
            )

    def _set(self, volume_id: str, now: Endangered | None) -> None:
        rest = {one: it for one, it in self.endangered.items() if one != volume_id}
        self.endangered = {**rest, volume_id: now} if now else rest

    def _say(self, volume_id: str, now: Endangered | None) -> None:
        before = self.endangered.get(volume_id)
        if now == before:
            return
        self._set(volume_id, now)
        if now and (before is None or before.found != now.found):
            LOG.warning(
                "Volume %(volume)s: %(harm)s. What they write destroys it. Detach all "
                "of them but one, or attach it to the others with mode ro; nobody is "
                "cut off for this.",
                {"volume": volume_id, "harm": harm(now.found, now.writers)},
            )
        elif before and not now:
            LOG.info(
                "Volume %(volume)s: there is no danger any more by several servers "
                "that write to %(found)s.",
                {"volume": volume_id, "found": before.found},
            )


def is_guarded(configuration: Any, volume_id: str) -> bool:
    """Say whether a volume has a guard, by its type or its back end.

    Args:
        configuration: of the back end.
        volume_id: the volume's.
    """
    try:
        rule = extra_specs.rule(configuration, database.volume(volume_id))
    except exception.CinderException:  # an attach tells it
        return False
    return rule.guard is not Guard.OFF
