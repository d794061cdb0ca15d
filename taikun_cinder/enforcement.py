# SPDX-License-Identifier: Apache-2.0
"""Makes what the kernel exports of a volume follow from who may reach it.

Its caller holds the volume's lock, and knows who may.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from oslo_log import log as logging

from taikun_cinder.access.audit import audit
from taikun_cinder.access.model import Export, Grant, Initiator
from taikun_cinder.access.observed import Observed
from taikun_cinder.access.plan import withheld
from taikun_cinder.access.steps import Step
from taikun_cinder.exception import GrantWithheld
from taikun_cinder.layout import Layout
from taikun_cinder.records import Record
from taikun_cinder.targets.base import Changed, Target

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Made:
    """What came of it.

    Attributes:
        export: what must be in the kernel by now; None for nothing.
        observed: what is; None where only those were looked at whose access is
            another than before, and all of that is right.
    """

    export: Export | None
    observed: Observed | None = None

    def grant_of(self, volume: Any, initiator: Initiator) -> Grant:
        """Give the grant by which an initiator can log in.

        Raises:
            GrantWithheld: it cannot, as things are.
        """
        export, observed = self.export, self.observed
        grant = export.grant_of.get(initiator) if export else None
        if grant is None or initiator in self._left_out:
            causes = audit(observed, export) if observed else ()
            raise GrantWithheld(
                volume=volume["id"],
                initiator=initiator,
                causes=" ".join(map(str, causes)),
            )
        return grant

    @functools.cached_property
    def _left_out(self) -> frozenset[Initiator]:
        # Once for all hosts of a batch: it takes a plan of the whole export.
        if self.observed is None or self.export is None:
            return frozenset()
        return withheld(self.observed, self.export)


class Enforcement:
    """How the exports of a back end are made.

    Args:
        target: what exports.
        layout: what an export looks like.
        activate: makes a volume's block device appear.
    """

    def __init__(
        self, target: Target, layout: Layout, activate: Callable[[Any], None]
    ) -> None:
        self._target = target
        self._layout = layout
        self._activate = activate

    def make(
        self,
        volume: Any,
        record: Record | None,
        grants: frozenset[Grant],
        about: Collection[Initiator] | None = None,
        *,
        search: bool = False,
    ) -> Made:
        """Make the kernel agree.

        Args:
            volume: whose export.
            record: of what was made last, if there is one.
            grants: who may reach the volume.
            about: who just attached or detached it. The access of others that is as it
                was before is not looked at then, so that a volume may have as many
                hosts as it likes. None to look at everybody's.
            search: do not believe a record that nothing is exported, and look for a
                backstore that lost its target anywhere. It takes the longer, the more
                the node exports.
        """
        name, desired = (
            self._layout.target(volume),
            self._desired(volume, record, grants),
        )
        if desired is not None:
            self._activate(volume)
        had = record.export if record else None
        if about is not None and desired is not None and had is not None:
            others = {one.initiator for one in had.grants ^ desired.grants}
            steps = self._target.amend(name, desired, others.union(about))
            if steps is not None:
                _tell(volume, steps)
                return Made(desired)
        search = search or record is None or had is not None
        outcome = self._target.ensure(name, desired, search=search)
        _tell(volume, outcome.steps if isinstance(outcome, Changed) else ())
        return Made(desired, outcome.observed)

    def shows_another(self, volume: Any) -> bool:
        """Say whether what is exported by the volume's name is another volume.

        When Cinder has migrated a volume to another group of the node, the row of the
        source has its name until it is deleted (Volume.finish_volume_migration).
        """
        if volume["name_id"] == volume["id"]:
            return False
        made = self._target.read(self._layout.target(volume)).backstore
        if made is None or made.device == self._layout.device(volume):
            return False
        return made.device.rpartition("/")[2] == volume["name"]

    def _desired(
        self, volume: Any, record: Record | None, grants: frozenset[Grant]
    ) -> Export | None:
        """Give what must be in the kernel.

        A disk that hosts were given keeps its serial until the last of them is
        detached, also one that the in-tree driver made up. Else a reconcile that finds
        all of them cut off for a moment, or a reboot, would give them another disk.
        """
        export = self._layout.export(volume, grants)
        if export is None:
            return None
        if record is not None:
            serial = record.export.serial if record.export else export.serial
        else:
            made = self._target.read(export.target).backstore
            serial = made.serial if made and made.serial else export.serial
        return dataclasses.replace(export, serial=serial)


def _tell(volume: Any, steps: Iterable[Step]) -> None:
    told = "; ".join(map(str, steps))
    if told:
        LOG.info(
            "Export of volume %(volume)s put right: %(steps)s",
            {"volume": volume["id"], "steps": told},
        )
