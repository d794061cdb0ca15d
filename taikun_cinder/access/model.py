# SPDX-License-Identifier: Apache-2.0
"""The nouns of access: initiators and attachments."""

import dataclasses


@dataclasses.dataclass(frozen=True, order=True)
class Initiator:
    """A host's iSCSI name, compared without case.

    iSCSI names are the same in any case (RFC 7143, 4.2.7), and LIO turns the name
    that a host logs in with to lower case (iscsi_target_locate_portal() in the
    kernel's drivers/target/iscsi/iscsi_target_nego.c).
    """

    name: str

    def __post_init__(self) -> None:
        """Keep the one form that all others are compared in."""
        object.__setattr__(self, "name", self.name.strip().lower())

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True)
class Attachment:
    """One of Cinder's attachments of one volume.

    Attributes:
        id: of the attachment.
        host: the name that people know the host by.
        initiator: None if the attachment does not say which host it is for.
        connected: whether a host may be using the volume by this attachment. One
            that is only reserved is not.
    """

    id: str
    host: str
    initiator: Initiator | None
    connected: bool
