# SPDX-License-Identifier: Apache-2.0
"""The Cinder volume driver."""

import contextlib
import functools
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cinder import exception, interface
from cinder.volume.drivers import lvm
from oslo_log import log as logging

from taikun_cinder import (
    attachment_log,
    capabilities,
    connection_info,
    connectors,
    contents,
    current,
    database,
    exports,
    extension,
    extra_specs,
    locks,
    modes,
    opts,
    preflight,
    shared_volumes,
    targets,
    version,
    volume_groups,
    words,
)
from taikun_cinder.access.model import Mode
from taikun_cinder.admission import AttachRequest
from taikun_cinder.exception import MigrationGivenUp, VolumeHeld
from taikun_cinder.fences import Marks
from taikun_cinder.layout import Layout
from taikun_cinder.monitoring.monitor import Monitor
from taikun_cinder.node import Node
from taikun_cinder.progress import Progress
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.records import Records

LOG = logging.getLogger(__name__)


@interface.volumedriver
class MultiattachLVMDriver(lvm.LVMVolumeDriver):
    """LVM volumes over iSCSI by LIO, for many servers at once.

    Volumes, snapshots, clones, images, extension and migration are Cinder's LVM
    driver's. Access to a volume is this driver's.
    """

    VERSION = version.text()
    #: It has no CI of a vendor's that votes on Cinder's changes.
    CI_WIKI_NAME = None

    #: Where the checks at start look at the node.
    node = Node()

    _stats: dict[str, Any]

    def __init__(self, vg_obj: Any = None, *args: Any, **kwargs: Any) -> None:
        # Wrong options are refused here: Cinder then logs that this back end's
        # service "failed to start", starts the others, and exits if there is none.
        # Only an edit and a restart can cure them, so there is no use in a service
        # that stays and retries; and the parent's constructor would already have
        # imported another target helper and talked to it.
        preflight.refuse_configuration(kwargs["configuration"], self.node)
        super().__init__(vg_obj, *args, **kwargs)
        # The LVM driver opens the group in check_for_setup_error.
        self._group = volume_groups.Group(
            self.configuration.volume_group,
            lambda: self.vg,
            Path(self.configuration.taikun_state_path),
        )
        self._target = targets.of(self.configuration)
        self._layout = Layout.of(self.configuration)
        self._exports = exports.Exports(
            self._target,
            self._layout,
            Records(Path(self.configuration.taikun_state_path)),
            lambda volume: self._group.activate(volume["name"]),
            self.host,
            self.configuration.taikun_login_patience,
            look=contents.look,
        )
        self._monitor = Monitor(str(self.host), self._target, self.configuration)
        self._failed = threading.local()
        self._came = threading.local()
        self._restored = Progress(f"Exports of {self.host} are restored")
        self._reconcile = Reconcile(
            self._exports,
            lambda: database.volumes_of(self.host),
            lambda: database.attached_volumes(self.host),
            lambda: database.knows_service(self.host),
            self.configuration.taikun_database_patience,
            self.configuration.taikun_max_revocations,
            self._monitor.end_pass,
            is_guarded=functools.partial(shared_volumes.is_guarded, self.configuration),
        )

    @classmethod
    def get_driver_options(cls) -> list[Any]:
        """List the options that the driver reads."""
        return [*super().get_driver_options(), *opts.BACKEND_OPTS]

    @classmethod
    def clean_volume_file_locks(cls, volume_id: str) -> None:
        """Delete the lock of a volume that is gone."""
        locks.forget(volume_id)

    def check_for_setup_error(self) -> None:
        """Refuse a node that cannot serve.

        A fault of the node can be cured, or cure itself, while the service runs:
        Cinder logs "Failed to initialize driver" with the message, shows the service
        as down, and tries again as often as reinit_driver_count says.
        """
        self._monitor.start(self._reconcile)
        preflight.refuse_node(self.configuration, self.node)
        super().check_for_setup_error()

    def set_initialized(self) -> None:
        """Begin to reconcile, now that the volumes in use are exported."""
        super().set_initialized()
        self._monitor.initialize()
        self._restored.end()
        self._reconcile.start(self.configuration.taikun_reconcile_interval)

    def _update_volume_stats(self) -> None:
        super()._update_volume_stats()
        self._stats = capabilities.stated(
            self._stats,
            self.VERSION,
            self.configuration,
            self._target.capabilities,
            lambda: database.count_volumes(self.host, multiattach=True),
        )

    def _init_vendor_properties(self) -> tuple[dict[str, Any], str]:
        """Publish our extra specs, for ``cinder get-capabilities``."""
        shown = dict(extra_specs.vendor_properties(self.configuration))
        return shown, extra_specs.PREFIX

    def create_volume(self, volume: Any) -> Any:
        """Create the volume, unless its type has an extra spec with a wrong value."""
        extra_specs.rule(self.configuration, volume)
        return super().create_volume(volume)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> Any:
        """Create the volume, unless its type has an extra spec with a wrong value."""
        extra_specs.rule(self.configuration, volume)
        return super().create_volume_from_snapshot(volume, snapshot)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Any:
        """Create the volume, unless its type has an extra spec with a wrong value."""
        extra_specs.rule(self.configuration, volume)
        return super().create_cloned_volume(volume, src_vref)

    def manage_existing_get_size(self, volume: Any, existing_ref: Any) -> int:
        """Tell how large a logical volume is that is about to be managed.

        Cinder calls this first, and only for volumes: the LVM driver manages snapshots
        by its manage_existing.
        """
        extra_specs.rule(self.configuration, volume)
        return int(super().manage_existing_get_size(volume, existing_ref))

    def retype(
        self, context: Any, volume: Any, new_type: Any, diff: Any, host: Any
    ) -> Any:
        """Accept the new type, unless it has an extra spec with a wrong value.

        The scheduler's filter refuses such a type before, where it is used.
        """
        extra_specs.rule_of_type(self.configuration, volume, new_type)
        return super().retype(context, volume, new_type, diff, host)

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Extend the volume, unless it is in use and has a snapshot that forbids it."""
        extension.refuse_impossible(self.vg, self._group, volume)
        super().extend_volume(volume, new_size)

    def backup_use_temp_snapshot(self) -> bool:
        """Say no, whatever the option says: the LVM driver exports no snapshots.

        Cinder then backs a volume in use up by a temporary volume.
        """
        return False

    def validate_connector(self, connector: Any) -> bool:
        """Refuse what the target or Cinder's database would; nothing is changed."""
        try:
            self._target.initiator(connector)
            connectors.check(connector)
            modes.check(connector)
        except Exception as error:
            self._monitor.refuse(error)
            raise
        return True

    def create_export(
        self, context: Any, volume: Any, connector: Any, vg: str | None = None
    ) -> dict[str, Any]:
        """Tell where the volume will be for a host that is about to connect.

        Nothing is exported before initialize_connection knows that somebody may reach
        it, so an attach that fails in between leaves nothing behind.
        """
        # Before all that may wait: who is fenced meanwhile is refused.
        try:
            self._came.with_marks = volume["id"], self._exports.marks(volume)
        except Exception as error:
            self._monitor.refuse(error)
            raise
        # Cinder's own attaches (driver._attach_volume) do not validate.
        self.validate_connector(connector)
        return self._model_update(volume)

    def ensure_export(self, context: Any, volume: Any) -> dict[str, Any]:
        """Export the volume again as its attachments say; Cinder asks at its start.

        It never raises. Cinder would put the volume into the status ``error``, though
        its hosts may well be logged in (manager._init_host).
        """
        try:
            self._exports.ensure(volume)
            self._restored.step(
                lambda: database.count_volumes(self.host, status=volume["status"])
            )
        except Exception as error:
            _log_left(volume, error)
        try:
            return self._model_update(volume)
        except Exception as error:
            _log_left(volume, error)
            return {}  # what Cinder has of it stays

    def _model_update(self, volume: Any) -> dict[str, Any]:
        name = self._exports.location(volume)
        return {
            **connection_info.model_update(self._target, self._layout, name),
            **connection_info.host_lock(volume, lambda: self._service_uuid),
        }

    @functools.cached_property
    def _service_uuid(self) -> str | None:
        return database.service_uuid(self.host)

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        """Let the connector's host in, and tell it how to connect."""
        try:
            with self._monitor.attach(volume, connector):
                return self._let_in(volume, connector)
        except Exception:
            self._failed.volume = volume["id"]
            raise

    def _let_in(self, volume: Any, connector: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        initiator = self._target.initiator(connector)
        marks = self._marks_when_it_came(volume)
        flag = database.readonly_flag(volume)
        request = AttachRequest(
            volume,
            connector,
            initiator,
            modes.asked(volume, connector, flag),
            extra_specs.rule(self.configuration, volume),
            sent=database.attachments_sent_with(volume),
            marks=marks,
        )
        export, grant, admission = self._exports.attach(request)
        if flag == modes.LIFTED:
            database.remove_readonly_flag(volume)
        if not admission.is_final(grant):
            self._reconcile.watch(volume, admission.identity)
        attachment_log.attached(request, grant, admission, time.monotonic() - began)
        return connection_info.of_grant(
            self._target,
            self._layout,
            volume,
            export.target,
            grant,
            admission.mode or Mode.RW,
            readers_disk=admission.readers_disk,
            multipath=bool(connector.get("multipath")),
        )

    def _marks_when_it_came(self, volume: Any) -> Marks:
        """Give the marks of a volume's fences when a request of this thread came."""
        id_, marks = getattr(self._came, "with_marks", (None, {}))
        self._came.with_marks = None, {}
        return marks if id_ == volume["id"] else self._exports.marks(volume)

    def terminate_connection(
        self, volume: Any, connector: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        """End one connection of the connector's host, or all without a connector.

        Returns:
            Whether others need the export still. It must be a bool: Cinder takes
            anything else for False (manager._connection_terminate).
        """
        with self._monitor.detach(volume, connector):
            if connector is None:
                return self._exports.detach_all(volume)
            return self._end(volume, connector, force=bool(kwargs.get("force")))

    def _end(self, volume: Any, connector: Mapping[str, Any], *, force: bool) -> bool:
        began = time.monotonic()
        initiator = connectors.initiator_to_detach(
            volume["id"], connector, self._target.connector_key
        )
        export = self._exports.detach(
            volume, connector, initiator, force=force, request=current.request_id()
        )
        seconds = time.monotonic() - began
        attachment_log.detached(volume, connector, initiator, export, seconds)
        return export is not None

    def remove_export(self, context: Any, volume: Any) -> None:
        """Remove the export, unless somebody needs it.

        Cinder also calls this after an attach that failed, and for os-detach of one
        attachment of several (manager._connection_create, manager.detach_volume). So
        it never raises: it would hide the error of that attach. A deletion is told by
        :meth:`delete_volume`.
        """
        failed = self._has_failed(volume)
        try:
            holders = self._exports.ensure(
                volume, settle=not failed, request=context.request_id
            )
        except Exception as error:
            _log_left(volume, error)
            return
        if holders:
            # Of a detach there is a line already, see attachment_log.
            log = LOG.info if failed else LOG.debug
            log(
                "The export of volume %(volume)s is kept, since it is still attached "
                "to %(holders)s",
                {"volume": volume["id"], "holders": ", ".join(holders)},
            )

    def _has_failed(self, volume: Any) -> bool:
        """Say, once, whether an attach of the volume has just failed in this thread.

        Then the manager calls remove_export next, and no row is about to be deleted.
        """
        failed = getattr(self._failed, "volume", None)
        self._failed.volume = None
        return bool(failed == volume["id"])

    def delete_volume(self, volume: Any) -> Any:
        """Delete the volume, and what is known about it, unless somebody has it.

        Raises:
            VolumeHeld: somebody has it. Nothing was erased.
            VolumeShared: it is another volume's, too. Nothing was erased.
        """
        self._exports.release(volume)
        if self._group.is_open(volume["name"]):
            raise VolumeHeld(
                volume=volume["id"],
                holders="its logical volume is open on this node (lsof, dmsetup info)",
            )
        result = super().delete_volume(volume)
        self._exports.forget(volume)
        return result

    def migrate_volume(self, ctxt: Any, volume: Any, host: Any) -> Any:
        """Copy the volume to another group of the node, if it is to go there.

        Raises:
            MigrationGivenUp: somebody is about to have it.
            VolumeHeld: somebody has it.
        """
        with contextlib.ExitStack() as alone:
            if self._copies(volume, host):
                alone.enter_context(self._exports.kept_to_itself(volume))
            return super().migrate_volume(ctxt, volume, host)

    def _copies(self, volume: Any, host: Any) -> bool:
        """Say whether the LVM driver may copy a volume itself (its migrate_volume).

        It leaves all others to a host, and one that is in use to Nova.
        """
        where = str(host["capabilities"].get("location_info")).split(":")
        return (
            volume["status"] in ("available", "retyping")
            and where[:2] == ["LVMVolumeDriver", self.hostname]
            and where[2:3] != [self.vg.vg_name]
        )

    def before_volume_copy(
        self, context: Any, src_vol: Any, dest_vol: Any, remote: str | None = None
    ) -> None:
        """Begin to count who is let in to a volume that is about to be copied."""
        self._exports.migrations.begin_copy(src_vol)
        self._exports.refuse_busy(src_vol)

    def after_volume_copy(
        self, context: Any, src_vol: Any, dest_vol: Any, remote: str | None = None
    ) -> None:
        """Give a migration up if others than Cinder came meanwhile.

        Raises:
            MigrationGivenUp: they did.
        """
        self._exports.refuse_busy(src_vol)
        if self._exports.migrations.end_copy(src_vol) > 1:
            cause = "it was connected while it was copied"
            raise MigrationGivenUp(volume=src_vol["id"], cause=cause)

    def update_migrated_volume(
        self, ctxt: Any, volume: Any, new_volume: Any, original_volume_status: str
    ) -> Any:
        """Give the copy of a volume that volume's name.

        Raises:
            MigrationGivenUp: somebody came to the volume since it was copied.
        """
        if original_volume_status == "available":
            self._exports.refuse_late(volume, new_volume)
        return super().update_migrated_volume(
            ctxt, volume, new_volume, original_volume_status
        )

    def unmanage(self, volume: Any) -> None:
        """Let the volume go, and forget it, unless somebody has it.

        Raises:
            VolumeHeld: somebody has it.
            VolumeShared: it is another volume's, too.
        """
        self._exports.release(volume)
        super().unmanage(volume)
        self._exports.forget(volume)


def _log_left(volume: Any, error: Exception) -> None:
    """Say that an export could not be put right now, and who does it."""
    LOG.error(
        "The export of volume %(volume)s could not be made to agree with its "
        "attachments: %(said)s Hosts that are logged in go on. The next reconcile "
        "tries again.",
        {"volume": volume["id"], "said": words.of_error(error)},
        exc_info=not isinstance(error, exception.CinderException),
    )
