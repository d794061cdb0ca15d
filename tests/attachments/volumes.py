# SPDX-License-Identifier: Apache-2.0
"""Lends volumes to tests, and sees that they come back as they were."""

import contextlib
from collections.abc import Callable, Iterator

from tests.attachments.api import Api, RefusedError

#: What a volume that a test leaves behind may be on its way from.
_TRANSIENT = ("extending", "retyping", "downloading", "reverting")


class Volumes:
    """Volumes of one type, which are made when they are needed, and lent many times.

    Args:
        owner: who makes and deletes them.
        detacher: who may end any of their attachments.
        volume_type: theirs.
    """

    def __init__(self, owner: Api, detacher: Api, volume_type: str) -> None:
        self._owner = owner
        self._detacher = detacher
        self._type = volume_type
        self._made: list[str] = []
        self._free: list[str] = []

    @contextlib.contextmanager
    def lent(self, may_stay: Callable[[], bool] = lambda: False) -> Iterator[str]:
        """Lend an available volume without attachments; end all that a test leaves.

        A volume that does not come back clean is given up, and is an error unless it
        may stay, which is asked at the end: what a test leaves behind that is to fail
        is no news.
        """
        volume = self._free.pop() if self._free else self._make()
        try:
            yield volume
        finally:
            try:
                self.clear(volume)
                self._free.append(volume)
            except (AssertionError, RefusedError):
                if not may_stay():
                    raise

    def _make(self) -> str:
        made = self._owner.make_volume(self._type)
        self._made.append(made)
        return made

    def clear(self, volume: str) -> None:
        """End all attachments of a volume, so that it is available."""
        status = self._owner.status(volume)
        if status in _TRANSIENT:
            self._owner.wait(volume, "available", "in-use")
        for row in self._owner.find(volume_id=volume):
            self._detacher.delete(row["id"])
        if self._owner.status(volume) == "detaching":
            self._owner.act(volume, "os-roll_detaching")
        if self._owner.status(volume) == "attaching":
            self._owner.act(volume, "os-unreserve")
        left = self._owner.statuses(volume)
        assert left == ("available", []), f"volume {volume} stays behind: {left}"

    def close(self) -> None:
        """Delete them all; one that did not come back clean may be refused."""
        stays = []
        for volume in self._made:
            try:
                self._owner.delete_volume(volume)
            except RefusedError:
                continue
            except AssertionError as late:
                stays.append(str(late))
        assert not stays, "; ".join(stays)
