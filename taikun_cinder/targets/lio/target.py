# SPDX-License-Identifier: Apache-2.0
"""Exports by LIO over iSCSI, as ``targets.base`` asks for them."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from oslo_log import log as logging

from taikun_cinder.access.model import (
    Export,
    ExportState,
    Grant,
    Initiator,
    Portal,
    Told,
)
from taikun_cinder.exception import StepFailed, StepUnfinished, TargetUnreadable
from taikun_cinder.node import Node, Problem
from taikun_cinder.targets.base import Finding, Result, refuse_another
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.lio import iscsi, looks, readiness
from taikun_cinder.targets.lio.audit import audit, refused, remaining
from taikun_cinder.targets.lio.disk_steps import ReadersStep
from taikun_cinder.targets.lio.kernel import Kernel, LostError, NodesKernel
from taikun_cinder.targets.lio.kinds import Difference, Kind
from taikun_cinder.targets.lio.plan import personal, plan
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import AddPortal, RemoveAcl, Step
from taikun_cinder.targets.looks import Look

LOG = logging.getLogger(__name__)

R = TypeVar("R")

_NO_READERS_DISK = (
    "Hosts that may only read cannot be given a disk of their own on this node: %s. "
    "They get the main disk, write-protected, as before: some crafted commands get "
    "past that (see the page Limitations). The page 'Modes and second attachments' "
    "says what kernel it takes. Attach those hosts again then."
)


class LioTarget:
    """Exports by a LIO.

    Args:
        kernel: the LIO; None for this node's.
    """

    connector_key = iscsi.CONNECTOR_KEY
    kinds: Sequence[str] = tuple(Kind)

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel: Kernel = kernel or NodesKernel()
        self._lack: str | None = None

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What pools can say of such targets, beside what all say."""
        return {
            # A host that is attached 'ro' cannot write.
            "read_only_enforced": True,
            # And by no crafted command either.
            "readers_disk": self._can_show_readers_disk(),
            # SCSI-3, between hosts.
            "persistent_reservations": True,
        }

    @staticmethod
    def problems(
        node: Node,
        portals: Sequence[Portal],
        prefixes: Sequence[str],
        group: str | None,
    ) -> Iterator[Problem]:
        """Tell what the node lacks to serve such targets, each with its cure."""
        yield from readiness.problems(node, portals, prefixes, group)

    @staticmethod
    def looks() -> Sequence[Look]:
        """Give what the operator's check looks at a node for, thing by thing."""
        return looks.LOOKS

    def initiator(self, connector: Any) -> Initiator:
        """Give the initiator that a connector asks access for."""
        return iscsi.initiator(connector)

    def location(self, name: str, portals: Sequence[Portal]) -> str:
        """Give the ``provider_location`` of a volume."""
        return iscsi.location(name, portals)

    def can_show_readers_disk(self) -> bool:
        """Say whether new hosts that may only read can be given the readers' disk.

        It is looked for again as long as it cannot be had: a module may be installed
        meanwhile.
        """
        if self._lack != "":
            lack = self._kernel.lack_of_readers_disk()
            if lack and lack != self._lack:
                LOG.warning(_NO_READERS_DISK, lack)
            self._lack = lack
        return not self._lack

    def _can_show_readers_disk(self) -> bool:
        try:
            return self.can_show_readers_disk()
        except TargetUnreadable:
            return False

    def connection(
        self,
        name: str,
        portals: Sequence[Portal],
        grant: Grant,
        *,
        readers_disk: bool,
        multipath: bool,
    ) -> tuple[str, dict[str, Any]]:
        """Give what a host needs to know to connect."""
        return iscsi.connection(
            name, portals, grant, readers_disk=readers_disk, multipath=multipath
        )

    def told(self, data: Mapping[str, Any]) -> Told | None:
        """Give where a connection_info sends its host."""
        return iscsi.told(data)

    def read(self, name: str) -> ExportState:
        """Read the state of one volume's export."""
        return self._kernel.read(name).shown

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export."""
        return self._kernel.inspect(name)

    def revoke(self, name: str, initiator: Initiator) -> bool:
        """End an initiator's access to one volume, whatever else is wrong there."""
        if initiator not in self._kernel.read(name, about={initiator}).acls:
            return False
        _over_its_loss(name, lambda: self._kernel.apply(name, [RemoveAcl(initiator)]))
        return True

    def ensure(
        self,
        name: str,
        desired: Export | None,
        about: Collection[Initiator] | None = None,
        *,
        search: bool = True,
    ) -> Result:
        """Make it so, and change nothing else.

        A privileged process that is killed on the way is started again by
        oslo.privsep at the next call, and the plan goes on from where it got to.
        """
        refuse_another(name, desired)
        return _over_its_loss(
            name, lambda: self._ensure(name, desired, about, search=search)
        )

    def findings(self, name: str, desired: Export | None) -> tuple[Finding, ...]:
        """Give all differences, and change nothing."""
        refuse_another(name, desired)
        return audit(self._kernel.read(name, search=desired is None), desired)

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what the kernel, or its privileged process, has not answered yet."""
        return self._kernel.waiting()

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that exists, wholly or in part."""
        return self._kernel.names(prefix)

    def _ensure(
        self,
        name: str,
        desired: Export | None,
        about: Collection[Initiator] | None,
        *,
        search: bool,
    ) -> Result:
        if about is not None and desired is not None:
            observed = self._kernel.read(name, about=about)
            steps = personal(observed, desired, about)
            if steps is not None:
                return Result(
                    tuple(map(str, self._take(name, steps))),
                    logged_out=_logged_out(observed, desired),
                    connected=observed.sessions,
                )
        try:
            return self._whole(name, desired, search=search)
        except StepUnfinished:
            raise  # nobody can look at it now
        except StepFailed as failed:
            if desired is None or not self._is_about_readers(name, desired):
                raise
            return self._without_readers_disk(name, desired, failed)

    def _whole(self, name: str, desired: Export | None, *, search: bool) -> Result:
        # A backstore that does not exist yet is made where it belongs.
        observed = self._kernel.read(name, search=search and desired is None)
        whole = plan(observed, desired)
        done, deaf = self._apply(name, whole.steps, desired)
        return Result(
            tuple(map(str, done)),
            (*remaining(name, whole.left), *deaf),
            whole.withheld,
            _logged_out(observed, desired),
            observed.sessions,
            whole.without_readers_disk,
            tuple(
                kind
                for step, kind in zip(whole.steps, whole.kinds, strict=True)
                if step in done
            ),
        )

    def _is_about_readers(self, name: str, desired: Export) -> bool:
        """Say whether what failed is a step that only readers feel: it comes next."""
        steps = plan(self._kernel.read(name), desired).steps
        return bool(steps) and isinstance(steps[0], ReadersStep)

    def _without_readers_disk(
        self, name: str, desired: Export, failed: StepFailed
    ) -> Result:
        """Let all hosts but the readers in: one broken disk does not take the other."""
        LOG.error("%s The hosts of the main disk go on.", failed.msg)
        result = self._whole(name, desired.without_readers_disk(), search=False)
        readers = frozenset(
            grant.initiator for grant in desired.grants if grant.readers_disk
        )
        difference = Difference(Kind.READERS_DISK, f"none ({failed.msg})", "one", None)
        left = (*result.left, *remaining(name, [difference]))
        return dataclasses.replace(result, left=left, without_readers_disk=readers)

    def _take(self, name: str, steps: Sequence[Step]) -> Sequence[Step]:
        if steps:
            self._kernel.apply(name, steps)
        return steps

    def _apply(
        self, name: str, steps: Sequence[Step], desired: Export | None
    ) -> tuple[Sequence[Step], Sequence[Finding]]:
        """Take the steps. A portal that cannot be had keeps nothing else from its way.

        Returns:
            the steps that were taken, and the portals that the kernel refused.

        Raises:
            StepFailed: another step failed, or no portal can be had.
        """
        done: list[Step] = []
        deaf: list[Finding] = []
        rest = steps
        while rest:
            try:
                done.extend(self._take(name, rest))
                break
            except StepFailed as failure:
                failed = None if failure.number is None else rest[failure.number]
                all_deaf = desired is None or len(desired.portals) == len(deaf) + 1
                if not isinstance(failed, AddPortal) or all_deaf:
                    raise
                done.extend(rest[: failure.number])
                deaf.append(refused(name, failed.portal, failure))
                rest = rest[(failure.number or 0) + 1 :]
        return done, deaf


def _over_its_loss(name: str, change: Callable[[], R]) -> R:
    """Make a change that can be repeated, once more if the privileged process is lost.

    Raises:
        StepFailed: it was lost again.
    """
    try:
        return change()
    except LostError as lost:
        LOG.warning(
            "The privileged process went away while the export %s was put right "
            "(%s). It is started again.",
            name,
            lost,
        )
    try:
        return change()
    except LostError as lost:
        raise lost.failure from lost


def _logged_out(observed: LioState, desired: Export | None) -> frozenset[Initiator]:
    granted = desired.grant_of if desired else {}
    known = observed.acls.keys() - granted.keys()
    return frozenset(known - observed.sessions)
