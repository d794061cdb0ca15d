# SPDX-License-Identifier: Apache-2.0
"""The kinds of differences of a state from an export, and what follows from each."""

import dataclasses
import enum

from taikun_cinder.access.model import Initiator
from taikun_cinder.targets.lio import steps


class Kind(enum.StrEnum):
    """The kinds of differences, each with what follows from it."""

    means: str

    def __new__(cls, name: str, means: str) -> "Kind":
        """Keep the name as the value, and its meaning beside it."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.means = means
        return kind

    ATTRIBUTE = "attribute", "hosts may get in without proving who they are"
    OTHER_TPG = "other-tpg", "hosts may get in past this volume's attachments"
    FOREIGN_ACL = (
        "foreign-acl",
        "this host can reach the volume, and no attachment says so",
    )
    CREDENTIALS = (
        "credentials",
        "the host cannot log in again, and who knows the other credentials may",
    )
    MAPPED_LUN = (
        "mapped-lun",
        "the host does not see the volume's disks as it should, and no others",
    )
    PASSABLE = (
        "passable",
        "a host that may only read can write by a crafted command",
    )
    REFUSED = "refused", "hosts miss a command that nobody needs to be kept from"
    DISCARD = "discard", "hosts cannot discard, or can, and should not"
    READERS_DISK = (
        "readers-disk",
        "hosts that may only read have no disk, or another one than they should",
    )
    WRITABLE = "writable", "the host can write, though it is attached read-only"
    READ_ONLY = "read-only", "the host cannot write, though it is attached for writing"
    LUN = "lun", "hosts do not see this volume's device, or see another one"
    DEVICE = "device", "hosts see another device than this volume's"
    SERIAL = "serial", "hosts do not recognise the volume as the device that it was"
    BACKSTORE = "backstore", "no host can reach the volume"
    TARGET = "target", "no host can reach the volume"
    TPG = "tpg", "no host can log in"
    DISABLED = "disabled", "no host can log in"
    EXTRA_PORTAL = (
        "extra-portal",
        "the target listens where the configuration does not say so",
    )
    PORTAL = "portal", "hosts that are told this address cannot connect to it"
    ACL = "acl", "the host cannot log in, though it has an attachment"
    UNWANTED = "unwanted", "the volume has no attachment, and its device is kept open"


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference. There is no secret in it but in its step, whose repr has none.

    Attributes:
        kind: what it is about.
        found: what is, in words.
        wanted: what should be, in words.
        step: what to do against it first; None if nothing may be done while hosts
            are logged in, or before something else is put right.
        initiator: whose access it is about, if it is about one's.
    """

    kind: Kind
    found: str
    wanted: str
    step: steps.Step | None
    initiator: Initiator | None = None
