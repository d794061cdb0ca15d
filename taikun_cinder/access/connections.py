# SPDX-License-Identifier: Apache-2.0
"""How many connections one initiator has to one volume, attachments shown or not."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Connections:
    """One initiator's connections to one volume. Each change gives a new one.

    Attributes:
        rows: ids of its attachments when they were last read.
        opening: the export was made for it, and its connection has not been asked for.
        granted: connections that no attachment shows yet. Cinder's own ones (backup,
            image copy, migration) never get an attachment.
        ended: connections that are over, and whose attachments are still there.
    """

    rows: frozenset[str] = frozenset()
    opening: bool = False
    granted: int = 0
    ended: int = 0

    @property
    def shown(self) -> int:
        """How many the attachments show that are not over."""
        return len(self.rows) - self.ended

    @property
    def live(self) -> int:
        """How many there are."""
        return self.shown + self.granted

    @property
    def unshown(self) -> bool:
        """Whether the attachments alone do not tell the whole truth."""
        return self.opening or self.granted > 0 or self.ended > 0

    @property
    def doubtful(self) -> bool:
        """Whether a further end is either of the last connection or a repeated one.

        Two detaches at once on one host, and one detach that Cinder repeats after its
        own failure, look the same until the first one's attachment is deleted.
        """
        return self.ended > 0 and self.live == 1 and len(self.rows) > 1

    def follow(self, rows: frozenset[str], reserved: int) -> "Connections":
        """Take in the attachments as they are now.

        Args:
            rows: ids of this initiator's attachments.
            reserved: how many attachments of the volume have no connector yet. No
                more than these can show a granted connection later, so a second
                answer to an attachment that is shown already counts once.
        """
        granted = max(0, self.granted - len(rows - self.rows))
        ended = max(0, self.ended - len(self.rows - rows))
        if rows:
            granted = min(granted, reserved)
        return Connections(rows, self.opening, granted, min(ended, len(rows)))

    def opened(self) -> "Connections":
        """The export was made for it."""
        return dataclasses.replace(self, opening=True)

    def refused(self) -> "Connections":
        """It could not be given the connection that the export was made for."""
        return dataclasses.replace(self, opening=False)

    def grant(self) -> "Connections":
        """It was given a connection."""
        return dataclasses.replace(self, opening=False, granted=self.granted + 1)

    def end(self) -> "Connections":
        """One connection is over, if there is any."""
        if self.shown:
            return dataclasses.replace(self, ended=self.ended + 1)
        return dataclasses.replace(self, granted=max(0, self.granted - 1))

    def end_all(self) -> "Connections":
        """All connections are over; one that is only being opened is none yet."""
        return dataclasses.replace(self, granted=0, ended=len(self.rows))

    def forget_unshown(self) -> "Connections":
        """What no attachment shows by now is not going to be."""
        return dataclasses.replace(self, opening=False, granted=0)

    def believe_rows(self) -> "Connections":
        """The attachments of connections that were ended are not going to go."""
        return dataclasses.replace(self, ended=0)
