# SPDX-License-Identifier: Apache-2.0
"""The contract between the driver and a target, whatever its kind.

What an implementation must do:

- ``read`` tells what is, in one look, without changing anything, and however
  half-built it is: a part that is missing is None or absent, never an error. Its cost
  depends on this one volume only: no walk over everything that the node exports.
- ``ensure`` makes an export so, and changes nothing else. Its caller holds the volume's
  lock; the target takes a lock of its own where its kernel needs one. Revocations come
  before grants. What a live host that keeps its access stands on is not torn down, not
  even to put it right: an attached host never loses its disk because of someone else
  (law 1). No host has more access at any moment on the way than before or after.
- A call that hangs holds nobody up but those who ask for the same target: they get
  ``TargetBusy`` at once, until it has come back. What its caller did not wait for is
  not begun any more.
- A volume can show two disks, see ``access.model.Grant``. The readers' disk has a
  serial of its own, that follows from the main disk's. It is there as long as a grant
  shows it, and whatever is wrong with it, the main disk and its hosts go on.
- A change that fails raises ``StepFailed`` with the target, the step and the cause.
  Nothing is undone: what was done before was right, and the next ``ensure`` goes on
  from what is then. So ``read`` must not take a half-made change for a finished one.
- No secret in a log line, an argv or an exception's text (law 7).

``tests/contract`` has this contract as tests, for any kind of target.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from taikun_cinder.access.model import (
    Export,
    ExportState,
    Grant,
    Initiator,
    Portal,
    Told,
)
from taikun_cinder.node import Node, Problem
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.looks import Look


@dataclasses.dataclass(frozen=True)
class Finding:
    """One difference between what is and what should be, in words, without a secret.

    Attributes:
        kind: what it is about, in the words of the target's kind.
        target: the target's name.
        initiator: whose access it is about, if it is about one's.
        found: what is.
        wanted: what should be.
        means: what follows from it.
        step: what is done against it first, without a secret; empty if nothing can be
            done before something else is put right, or as long as it waits.
        waits: whether it is left as it is while hosts that are logged in, and have an
            attachment, would lose their disk by its repair.
    """

    kind: str
    target: str
    initiator: Initiator | None
    found: str
    wanted: str
    means: str
    step: str
    waits: bool

    def __str__(self) -> str:
        host = f", {self.initiator}" if self.initiator else ""
        end = ". Left as it is while attached hosts are logged in" if self.waits else ""
        return (
            f"{self.target}{host}: {self.kind}: there is {self.found}, there "
            f"should be {self.wanted}: {self.means}{end}."
        )


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of making an export so.

    Attributes:
        changes: what was done, in order and in words; empty if all was right.
        left: what could not be put right as things are.
        withheld: the initiators that have a grant and could not be let in because of
            what is left.
        logged_out: the initiators that had access before, have none now, and were not
            logged in when it ended.
        connected: the initiators that were logged in before, of those that were looked
            at.
        without_readers_disk: the initiators that could not be shown that disk.
        put_right: the kinds of the differences that there were, see ``Finding``: one
            for each change.
    """

    changes: tuple[str, ...] = ()
    left: tuple[Finding, ...] = ()
    withheld: frozenset[Initiator] = frozenset()
    logged_out: frozenset[Initiator] = frozenset()
    # That was seen on the way, and is no outcome.
    connected: frozenset[Initiator] = dataclasses.field(
        default=frozenset(), compare=False
    )
    without_readers_disk: frozenset[Initiator] = frozenset()
    put_right: tuple[str, ...] = dataclasses.field(default=(), compare=False)


class Target(Protocol):
    """Exports of volumes. Each call can be repeated, and says what it did."""

    #: The key of a connector that names its host to this kind of target.
    connector_key: str

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds of findings that there can be."""
        ...

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What pools can say of such targets, beside what all say."""
        ...

    @staticmethod
    def problems(
        node: Node,
        portals: Sequence[Portal],
        prefixes: Sequence[str],
        group: str | None,
    ) -> Iterator[Problem]:
        """Tell what the node lacks to serve such targets, each with its cure.

        What can be made ready is made ready, such as modules to be loaded. It takes a
        time that is limited, and nothing that is exported is changed.

        Args:
            node: the node.
            portals: where targets are to listen.
            prefixes: what the names of targets begin with: that of new ones first, and
                those of all that are recorded.
            group: whose logical volumes are to be exported; None if it is not known.
        """
        ...

    @staticmethod
    def looks() -> Sequence[Look]:
        """Give what the operator's check looks at a node for, thing by thing."""
        ...

    def initiator(self, connector: Any) -> Initiator:
        """Give the initiator that a connector asks access for.

        Raises:
            InvalidInitiator: it names none, or one that the target would refuse.
        """
        ...

    def location(self, name: str, portals: Sequence[Portal]) -> str:
        """Give the ``provider_location`` of a volume.

        Args:
            name: the target's.
            portals: where it listens, the primary one first.
        """
        ...

    def can_show_readers_disk(self) -> bool:
        """Say whether new hosts that may only read can be given the readers' disk.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def connection(
        self,
        name: str,
        portals: Sequence[Portal],
        grant: Grant,
        *,
        readers_disk: bool,
        multipath: bool,
    ) -> tuple[str, dict[str, Any]]:
        """Give what a host needs to know to connect.

        See os-brick's connectors, and cinder.interface.volume_connector_driver.

        Args:
            name: the target's.
            portals: where it listens, the primary one first.
            grant: the host's.
            readers_disk: whether it is to use that, and not the main disk.
            multipath: whether the host asks for all paths.

        Returns:
            the ``driver_volume_type``, and what is particular to it of the ``data``.
        """
        ...

    def told(self, data: Mapping[str, Any]) -> Told | None:
        """Give where a connection_info, of this driver or another, sends its host.

        Args:
            data: of the connection_info, as ``connection`` gives it, or as it was
                found.

        Returns:
            None if it does not say so.
        """
        ...

    def read(self, name: str) -> ExportState:
        """Read the state of one volume's export.

        Args:
            name: the target's.

        Raises:
            TargetBusy: a call on this target has not come back.
            TargetUnreadable: the kernel could not be asked. That something is missing
                is an answer, not an error.
        """
        ...

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export, which no decision goes by.

        Args:
            name: the target's.

        Raises:
            TargetBusy: a call on this target has not come back.
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def revoke(self, name: str, initiator: Initiator) -> bool:
        """End an initiator's access to one volume, and change nothing else.

        It needs no volume's lock, and goes by nothing but the name: this is for a host
        that must be cut off now. When it returns, no write of the host's is under way.

        Args:
            name: the target's.
            initiator: the host's.

        Returns:
            whether it had any access.

        Raises:
            TargetBusy: a call on this target has not come back; nothing was changed.
            TargetUnreadable: the kernel could not be asked; nothing was changed.
            StepUnfinished: it has not come back: what the host wrote is under way.
            StepFailed: the kernel refused.
        """
        ...

    def ensure(
        self,
        name: str,
        desired: Export | None,
        about: Collection[Initiator] | None = None,
        *,
        search: bool = True,
    ) -> Result:
        """Make it so, and change nothing else.

        A host that is logged in, and that is to have the readers' disk only from now
        on, may keep its main disk to read until it logs out.

        Args:
            name: the target's.
            desired: None to remove everything.
            about: whose access may have changed. Where everything else is as it should
                be, the access of others is not looked at, so the cost does not depend
                on how many they are. None to look at everybody's.
            search: where everything is to be removed, look among all that the node
                exports for parts that are not where they belong.

        Raises:
            TargetBusy: a call on this target has not come back; nothing was changed.
            TargetUnreadable: the kernel could not be asked; nothing was changed.
            StepUnfinished: a step has not come back; no other will be begun.
            StepFailed: a step failed; what was done before it stays.
            ValueError: ``desired`` is for another target; nothing was changed.
        """
        ...

    def findings(self, name: str, desired: Export | None) -> tuple[Finding, ...]:
        """Tell what ``ensure`` would put right or leave, and change nothing.

        Args:
            name: the target's.
            desired: what should be; None for nothing at all.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what has been asked of the kernel and has not come back.

        It blocks on nothing, not even on a lock: a report asks in a signal's handler.

        Returns:
            each in words, without a secret, and for how many seconds; the oldest first.
        """
        ...

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that exists, wholly or in part.

        A part without its target counts, since it can keep a device open. The names may
        belong to other back ends on this node, so the caller removes only names of its
        own volumes.

        This walks over everything, and is for the reconcile only, never for an attach.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...


def refuse_another(name: str, desired: Export | None) -> None:
    """Refuse an export that is meant for another target.

    Raises:
        ValueError: it is for another target.
    """
    if desired is not None and desired.target != name:
        raise ValueError(f"asked to make {desired.target} of {name}")
