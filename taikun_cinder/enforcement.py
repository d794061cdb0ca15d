# SPDX-License-Identifier: Apache-2.0
"""Makes a target export a volume to the hosts that may reach it, and to no other.

The caller holds the volume's lock, and gives the grants.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from oslo_log import log as logging

from taikun_cinder import database
from taikun_cinder.access.model import Export, Grant, HostState, Initiator
from taikun_cinder.exception import (
    ActivationRefused,
    GrantWithheld,
    NotActivated,
)
from taikun_cinder.layout import Layout
from taikun_cinder.targets.base import Finding, Result, Target
from taikun_cinder.volume_record import Record

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Enforced:
    """An export after it was made so.

    Attributes:
        export: what the target must show by now; None for nothing.
        result: what came of it.
        failure: why it is less than what was asked for; None if it is that.
        absent: why nothing of it is there now, so that nobody can be told that he has
            it; None if it is.
    """

    export: Export | None
    result: Result
    failure: NotActivated | None = None
    absent: NotActivated | None = None

    @property
    def shown(self) -> Export:
        """The export, where somebody was let in.

        Raises:
            LookupError: nothing is exported.
        """
        if self.export is None:
            raise LookupError("nothing is exported")
        return self.export

    def grant_of(
        self, volume: Any, initiator: Initiator, *, readers_disk: bool
    ) -> Grant:
        """Give the grant by which an initiator can log in, and reach one of the disks.

        Raises:
            GrantWithheld: it cannot, as things are.
            NotActivated: nobody can, as the volume has no block device.
        """
        if self.absent:
            raise self.absent
        grant = self.export.grant_of.get(initiator) if self.export else None
        withheld = self.result.withheld
        if readers_disk:
            withheld |= self.result.without_readers_disk
        if grant is None or initiator in withheld:
            raise GrantWithheld(
                volume=volume["id"],
                initiator=initiator,
                causes=" ".join(map(str, self.result.left)),
            )
        return grant


class Enforcement:
    """Makes the exports of a back end.

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

    def ensure(
        self,
        volume: Any,
        name: str,
        record: Record | None,
        grants: frozenset[Grant],
        about: Collection[Initiator] | None = None,
        *,
        search: bool = False,
        asked: bool = False,
    ) -> Enforced:
        """Make the export so.

        Args:
            volume: whose export.
            name: of its target.
            record: of what was made last, if there is one.
            grants: who may reach the volume.
            about: who just attached or detached it. The access of others that is as it
                was before is not looked at then, so that a volume may have as many
                hosts as it likes. None to look at everybody's.
            search: do not believe a record that nothing is exported, and look for a
                part that lost its target anywhere. It takes the longer, the more the
                node exports.
            asked: whether a request asked for this, of nobody in particular.

        If the volume has no block device, nobody gets more than he has; but who may not
        reach it any more does not. A request that only takes somebody's access away is
        done with that, and anything else has failed.
        """
        desired = self._desired(volume, name, record, grants)
        had = record.export if record else None
        failure = self._failure_to_activate(volume) if desired else None
        if desired and failure:
            return self._take_away(volume, had, desired, about, failure)
        changed = None
        if about is not None and desired is not None and had is not None:
            # And those whose access differs from when the export was made last.
            differing = {grant.initiator for grant in had.grants ^ desired.grants}
            changed = differing.union(about)
        search = search or record is None or had is not None
        result = self._target.ensure(name, desired, changed, search=search)
        _log(volume, result, asked=asked or about is not None)
        return Enforced(desired, result)

    def _failure_to_activate(self, volume: Any) -> NotActivated | None:
        try:
            self._activate(volume)
        except ActivationRefused as refused:
            return NotActivated(
                volume=volume["id"], cause=refused.cause, cure=refused.cure
            )
        except Exception as error:
            cause = " ".join(str(error).split())
            return NotActivated(
                volume=volume["id"], cause=cause, cure=NotActivated.LOOK
            )
        return None

    def _take_away(
        self,
        volume: Any,
        had: Export | None,
        desired: Export,
        about: Collection[Initiator] | None,
        failure: NotActivated,
    ) -> Enforced:
        """End what must end, where nothing new can be exported."""
        state = self._target.read(desired.target)
        # Without a record, what a host has is what it may have.
        before: Mapping[Initiator, Grant | HostState] = (
            had.grant_of if had else state.hosts
        )
        left = (
            grant.reduced(before[grant.initiator])
            for grant in desired.grants
            if grant.initiator in before
        )
        export = dataclasses.replace(desired, grants=frozenset(filter(None, left)))
        # Without a device an export cannot be made anew, only removed. And the one that
        # it has is let be, though it may be another than it should be.
        shown = (
            dataclasses.replace(export, device=state.device) if state.device else None
        )
        result = self._target.ensure(desired.target, shown, search=shown is None)
        _log(volume, result, asked=about is not None)
        if about is None or _of(about, export) != _of(about, desired):
            return Enforced(export, result, failure)
        LOG.error(failure.msg)
        return Enforced(export, result, absent=None if shown else failure)

    def findings(
        self, volume: Any, name: str, record: Record | None, grants: frozenset[Grant]
    ) -> tuple[Finding, ...]:
        """Tell what :meth:`ensure` would put right or leave, and change nothing."""
        return self._target.findings(name, self._desired(volume, name, record, grants))

    def shows_another(self, volume: Any, name: str, record: Record | None) -> bool:
        """Say whether what is exported by the volume's name is another volume.

        When Cinder has migrated a volume to another group of the node, the row of the
        source has its name until it is deleted (Volume.finish_volume_migration).

        Args:
            volume: Cinder's.
            name: of its target.
            record: by the volume's name. After a reboot only that says what is to be
                exported, until the other volume's back end does it.

        Where nothing is exported, the name is the other volume's all the same.
        """
        if volume["name_id"] == volume["id"]:
            return False
        device = self._target.read(name).device
        if device is None and record is not None and record.export is not None:
            device = record.export.device
        if device is None:
            return database.is_source(volume)
        if device == self._layout.device(volume):
            return False
        return device.rpartition("/")[2] == volume["name"]

    def _desired(
        self,
        volume: Any,
        name: str,
        record: Record | None,
        grants: frozenset[Grant],
    ) -> Export | None:
        """Give what the target must show.

        A disk that hosts were given keeps its serial until the last of them is
        detached, also one that the in-tree driver made up. Else a reconcile that finds
        all of them cut off for a moment, or a reboot, would give them another disk.
        """
        export = self._layout.export(volume, name, grants)
        if export is None:
            return None
        if record is not None:
            serial = record.export.serial if record.export else None
        else:
            shown = self._target.read(name)
            serial = shown.serial if shown.device == export.device else None
        return dataclasses.replace(export, serial=serial or export.serial)


def _of(initiators: Collection[Initiator], export: Export) -> set[Grant]:
    return {grant for grant in export.grants if grant.initiator in initiators}


def _log(volume: Any, result: Result, *, asked: bool) -> None:
    if result.changes:
        # What a request asked for is told once it is done, see attachment_log.
        log = LOG.debug if asked else LOG.info
        log(
            "Export of volume %(volume)s put right: %(steps)s",
            {"volume": volume["id"], "steps": "; ".join(result.changes)},
        )
    for finding in result.left:
        LOG.warning(
            "Export of volume %(volume)s is not all right: %(finding)s",
            {"volume": volume["id"], "finding": finding},
        )
