# SPDX-License-Identifier: Apache-2.0
"""One attachment through its life, and what its row shows meanwhile."""

import dataclasses

from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.model import Credentials, Initiator, Mode

INITIATORS = tuple(Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
STORAGE = Initiator("iqn.2026-11.com.example:storage")
IN_TREE = Credentials("in-tree", "shared-by-all")
LIVE = ("granted", "shown", "told")


@dataclasses.dataclass
class Story:
    """The story of one server's attachment, as only the whole of Cinder knows it."""

    id: str
    initiator: Initiator
    mode: Mode
    stage: str = "reserved"
    identity: str | None = None
    handed: Credentials | None = None  # to the host
    written: Credentials | None = None  # in the row's connection_info
    told_to: Initiator | None = None  # as the row's connection_info says
    forgotten: bool = False  # ended, and the driver does not know any more

    @property
    def live(self):
        return self.stage in LIVE

    @property
    def own_credentials(self):
        """The connection_info may be of the connector before, or the in-tree one's."""
        ours = str(self.identity).startswith("mark")
        told_to = self.initiator if ours else None
        return self.written if self.told_to == told_to else None

    @property
    def attachment(self):
        if self.stage in ("reserved", "granted"):
            return Attachment(self.id, "host", None, connected=False)
        return Attachment(
            self.id,
            "host",
            self.initiator,
            connected=True,
            identity=self.identity,
            mode=self.mode,
            credentials=self.own_credentials,
        )
