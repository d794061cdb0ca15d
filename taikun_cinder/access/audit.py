# SPDX-License-Identifier: Apache-2.0
"""What differs between Cinder and the kernel, explained for the operator."""

import dataclasses

from taikun_cinder.access import plan
from taikun_cinder.access.differences import Kind, differences
from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.access.observed import Observed

_MEANS = {
    Kind.ATTRIBUTE: "hosts may get in without proving who they are",
    Kind.OTHER_TPG: "hosts may get in past this volume's attachments",
    Kind.FOREIGN_ACL: "this host can reach the volume, and no attachment says so",
    Kind.CREDENTIALS: (
        "the host cannot log in again, and who knows the other credentials may"
    ),
    Kind.MAPPED_LUN: "the host does not see the volume as its LUN 0, and only there",
    Kind.WRITABLE: "the host can write, though it is attached read-only",
    Kind.READ_ONLY: "the host cannot write, though it is attached for writing",
    Kind.LUN: "hosts do not see this volume's device, or see another one",
    Kind.DEVICE: "hosts see another device than this volume's",
    Kind.SERIAL: "hosts do not recognise the volume as the device that it was",
    Kind.BACKSTORE: "no host can reach the volume",
    Kind.TARGET: "no host can reach the volume",
    Kind.TPG: "no host can log in",
    Kind.DISABLED: "no host can log in",
    Kind.EXTRA_PORTAL: "the target listens where the configuration does not say so",
    Kind.PORTAL: "hosts that are told this address cannot connect to it",
    Kind.ACL: "the host cannot log in, though it has an attachment",
    Kind.UNWANTED: "the volume has no attachment, and its device is kept open",
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One difference, in words. There is no secret in it.

    Attributes:
        kind: what it is about.
        target: the IQN of the volume's target.
        initiator: whose access it is about, if it is about one's.
        found: what is.
        wanted: what should be.
        means: what follows from it.
        waits: whether it is left as it is while hosts that are logged in, and have an
            attachment, would lose their disk by its repair.
    """

    kind: Kind
    target: str
    initiator: Initiator | None
    found: str
    wanted: str
    means: str
    waits: bool

    def __str__(self) -> str:
        who = f", {self.initiator}" if self.initiator else ""
        end = ". Left as it is while attached hosts are logged in" if self.waits else ""
        return (
            f"{self.target}{who}: {self.kind.value}: there is {self.found}, there "
            f"should be {self.wanted}: {self.means}{end}."
        )


def audit(observed: Observed, desired: Export | None) -> tuple[Finding, ...]:
    """Name and explain every difference; none if the kernel is as it should be.

    Args:
        observed: what is.
        desired: what should be; None for nothing at all.
    """
    waiting = {(one.kind, one.initiator) for one in plan.left(observed, desired)}
    return tuple(
        Finding(
            kind=one.kind,
            target=observed.name,
            initiator=one.initiator,
            found=one.found,
            wanted=one.wanted,
            means=_MEANS[one.kind],
            waits=(one.kind, one.initiator) in waiting,
        )
        for one in differences(observed, desired)
    )
