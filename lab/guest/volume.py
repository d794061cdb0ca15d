# SPDX-License-Identifier: Apache-2.0
"""Cinder's real volume API and VolumeManager in one process, without a message bus.

The API calls the manager directly instead of by RPC; all else is what runs: rules,
database, driver, target, kernel. Ending the process is a crash of its one back end.
"""

import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder import context, coordination, exception, policy, privsep, rpc  # noqa: E402
from cinder.objects import base as objects_base  # noqa: E402
from cinder.objects import fields  # noqa: E402
from cinder.volume import api as volume_api  # noqa: E402
from cinder.volume import manager as volume_manager  # noqa: E402
from cinder.volume import volume_types  # noqa: E402
from keystoneauth1.exceptions import EndpointNotFound  # noqa: E402
from oslo_config import cfg  # noqa: E402

from lab.guest.at_once import together  # noqa: E402
from lab.guest.volume_settings import (  # noqa: E402
    BACKEND,
    HOST,
    SQLITE,
    configure,
    make_database,
)
from taikun_cinder import privsep as our_privsep  # noqa: E402
from taikun_cinder.cinder_db import api as db_api  # noqa: E402
from taikun_cinder.cinder_db import models  # noqa: E402
from taikun_cinder.privsep import lio as lio_calls  # noqa: E402

OURS = "taikun_cinder.driver.MultiattachLVMDriver"


def _know_the_service() -> None:
    """Write the service's own row, as cinder-volume does at its start."""
    admin = context.get_admin_context()
    try:
        objects.Service.get_by_args(admin, HOST, "cinder-volume")
    except exception.ServiceNotFound:
        objects.Service(
            admin,
            host=HOST,
            binary="cinder-volume",
            topic="cinder-volume",
            report_count=0,
            rpc_current_version=volume_manager.VolumeManager.RPC_API_VERSION,
            object_current_version=objects_base.OBJ_VERSIONS.get_current(),
        ).create()


class Backend:
    """One cinder-volume back end, and the API before it.

    Args:
        driver: the class that ``volume_driver`` names.
        options: the back end's options that differ from the lab's.
        database: the URL of Cinder's.
    """

    def __init__(
        self,
        driver: str = OURS,
        options: Mapping[str, str] | None = None,
        database: str = SQLITE,
    ) -> None:
        configure(options or {}, database)
        self._become_privileged()
        make_database()
        rpc.init(cfg.CONF)
        policy.init()  # which two requests at once could not
        coordination.COORDINATOR.start()
        self._owner = uuid.uuid4().hex
        self._driver = driver
        self.api = volume_api.API()
        _know_the_service()
        self.restart()

    def _become_privileged(self) -> None:
        """Be root in this process; the cluster starts the daemon for real."""
        for privileged in (privsep.sys_admin_pctxt, our_privsep.context):
            privileged.set_client_mode(False)

    def restart(self) -> None:
        """Start the manager and its driver anew; what the old ones remember is lost.

        It is the start of a service, without what a process costs. A reconcile of the
        old driver's goes on, so let there be none (``taikun_reconcile_interval``).
        """
        self.manager = volume_manager.VolumeManager(
            volume_driver=self._driver, service_name=BACKEND, host=HOST
        )
        self.manager.init_host(service_id=1)
        self.api.volume_rpcapi = self.manager

    @property
    def context(self) -> Any:
        """A request's context: a new one each time, as it holds its transaction."""
        new = context.get_admin_context()
        new.project_id = new.user_id = self._owner
        # Nova sends a service token; without one the API asks Nova at a detach.
        new.service_roles = ["service"]
        return new

    def initialized(self) -> bool:
        """Say whether the driver started."""
        return bool(self.manager.driver.initialized)

    def lose_privileged_process_for(self, word: str) -> None:
        """Let the privileged process be lost after its first step for an initiator.

        Args:
            word: in the initiator's name.
        """
        real = lio_calls.apply

        def apply(name: str, steps: list[Any]) -> None:
            if word not in repr(steps):
                real(name, steps)
                return
            real(name, steps[:1])
            raise ConnectionResetError("the privileged process was killed")

        setattr(lio_calls, "apply", apply)  # noqa: B010 - it is another type

    def volume(self, volume_id: str) -> Any:
        """Read a volume from the database."""
        return objects.Volume.get_by_id(self.context, volume_id)

    def create_volume(
        self, size: int = 1, multiattach: bool = True, rule: str | None = None
    ) -> str:
        """Create a volume of ``size`` GiB and give its id.

        Its type says if it is multi-attach, and has the rule for second attachments.
        """
        name = "multiattach" if multiattach else "plain"
        specs = {"multiattach": "<is> True"} if multiattach else {}
        if rule is not None:
            name, specs["taikun:secondary_mode"] = f"{name} {rule}", rule
        try:
            volume_type = volume_types.get_by_name_or_id(self.context, name)
        except volume_types.exception.VolumeTypeNotFoundByName:
            volume_type = volume_types.create(self.context, name, specs)
        volume = objects.Volume(
            self.context,
            size=size,
            host=f"{HOST}#{BACKEND}",
            status="creating",
            attach_status=fields.VolumeAttachStatus.DETACHED,
            multiattach=multiattach,
            volume_type_id=volume_type["id"],
            availability_zone="nova",
            project_id=self.context.project_id,
            user_id=self.context.user_id,
        )
        volume.create()
        self.manager.driver.create_volume(volume)
        volume.update({"status": "available"})
        volume.save()
        return str(volume.id)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume as the manager does."""
        self.set_status(volume_id, "deleting")
        self.manager.delete_volume(self.context, self.volume(volume_id))

    def extend_volume(self, volume_id: str, size: int, wait: float = 10) -> str:
        """Extend a volume to ``size`` GiB as API and manager do; give its last status.

        Args:
            volume_id: the volume.
            size: its new one.
            wait: how long ``error_extending`` may last, in seconds.
        """
        volume = self.volume(volume_id)
        volume.update({"status": "extending", "previous_status": volume.status})
        volume.save()
        # There is no Nova to hear of the new size.
        with contextlib.suppress(EndpointNotFound):
            self.manager.extend_volume(self.context, self.volume(volume_id), size, None)
        deadline = time.monotonic() + wait
        while self.volume(volume_id).status == "error_extending":
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return str(self.volume(volume_id).status)

    def reserve(
        self, volume_id: str, server: str | None = None, mode: str | None = None
    ) -> str:
        """Reserve an attachment and give its id (POST /attachments)."""
        reference = self.api.attachment_create(
            self.context,
            self.volume(volume_id),
            server or str(uuid.uuid4()),
            connector=None,
            attach_mode=mode or "null",
        )
        return str(reference.id)

    def update(self, attachment_id: str, connector: dict[str, Any]) -> dict[str, Any]:
        """Give an attachment its connector (PUT /attachments/ID)."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        updated = self.api.attachment_update(
            self.context, reference, {"mountpoint": "na", **connector}
        )
        return dict(updated.connection_info)

    def complete(self, attachment_id: str) -> None:
        """Say that the host is connected (POST /attachments/ID/action os-complete)."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        reference.update({"attach_status": fields.VolumeAttachStatus.ATTACHED})
        reference.save()
        volume = self.volume(reference.volume_id)
        volume.update({"status": "in-use", "attach_status": "attached"})
        volume.save()

    def attach(
        self,
        volume_id: str,
        connector: dict[str, Any],
        mode: str | None = None,
        server: str | None = None,
    ) -> dict[str, Any]:
        """Reserve, update and complete; give the connection information.

        The attachment's id is its ``attachment_id``.
        """
        attachment_id = self.reserve(volume_id, server, mode)
        information = self.update(attachment_id, connector)
        self.complete(attachment_id)
        return information

    def attach_in_one(
        self,
        volume_id: str,
        connector: dict[str, Any],
        server: str | None = None,
        mode: str | None = None,
    ) -> dict[str, Any]:
        """Attach with one POST /attachments, as Nova does for a live migration.

        A volume that is not multi-attach may have the same server's twice then.
        """
        reference = self.api.attachment_create(
            self.context,
            self.volume(volume_id),
            server or str(uuid.uuid4()),
            connector={"mountpoint": "na", **connector},
            attach_mode=mode or "null",
        )
        self.complete(reference.id)
        return dict(reference.connection_info)

    def attach_when_it_may(
        self, volume_id: str, connector: dict[str, Any]
    ) -> dict[str, Any]:
        """Attach a volume that others attach too: Cinder reserves one at a time."""
        while True:
            with contextlib.suppress(exception.InvalidVolume):
                return self.attach(volume_id, connector)
            time.sleep(0.05)

    def forget_mode(self, attachment_id: str) -> None:
        """Let an attachment have no mode, so that its next update may bring one."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        reference.attach_mode = "null"
        reference.save()

    def detach(self, attachment_id: str) -> None:
        """Delete an attachment (DELETE /attachments/ID)."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        self.api.attachment_delete(self.context, reference)

    def forget_attachment(self, attachment_id: str) -> None:
        """Delete an attachment's row, and tell the driver nothing."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        self.volume(reference.volume_id).finish_detach(attachment_id)

    def forget_reserved(self, volume_id: str) -> None:
        """Delete the rows of attachments that never came about, as Nova does."""
        for row in self.rows(volume_id):
            if row["status"] != fields.VolumeAttachStatus.ATTACHED:
                self.forget_attachment(row["id"])

    def legacy_detach(self, volume_id: str, attachment_id: str) -> None:
        """Detach by the old volume action (POST /volumes/ID/action os-detach)."""
        self.manager.detach_volume(self.context, volume_id, attachment_id)

    def terminate(self, volume_id: str, connector: dict[str, Any] | None) -> bool:
        """Ask the driver to end a connection, or all without a connector.

        As Cinder's API does (os-terminate_connection, os-force_detach): by force only
        Cinder itself ends a connection of its own.
        """
        volume = self.volume(volume_id)
        return bool(
            self.manager.driver.terminate_connection(volume, connector, force=False)
        )

    def terminate_by_row(self, volume_id: str, connector: dict[str, Any]) -> bool:
        """Do the same with a row of the database, as parts of Cinder do.

        Cinder has no object for a volume with an attachment that it cannot read.
        """
        volume = db_api.volume_get(self.context, volume_id)
        return bool(self.manager.driver.terminate_connection(volume, connector))

    def set_status(self, volume_id: str, status: str) -> None:
        """Give a volume the status that it has in the middle of something."""
        volume = self.volume(volume_id)
        volume.update({"status": status})
        volume.save()

    def provider_auth(self, volume_id: str) -> str:
        """Give what Cinder keeps with the volume for the in-tree driver."""
        return str(self.volume(volume_id).provider_auth)

    def reconcile(self) -> None:
        """Let one interval of our driver's reconcile pass."""
        self.manager.driver._reconcile.once()

    def lose_rows(self, attachments: Sequence[str]) -> None:
        """Take attachments out of the database, as one that was restored lacks them."""
        with db_api.main_context_manager.writer.using(self.context) as session:
            for attachment in attachments:
                table = session.query(models.VolumeAttachment)
                table.filter_by(id=attachment).delete()

    def lose_volume(self, volume_id: str) -> None:
        """Take a volume out of the database, as an operator does by hand."""
        db_api.volume_destroy(self.context, volume_id)

    def spoil_row(self, attachment: str) -> None:
        """Let an attachment's row be one that cannot be read."""
        with db_api.main_context_manager.writer.using(self.context) as session:
            table = session.query(models.VolumeAttachment)
            table.filter_by(id=attachment).update({"connector": "{"})

    def force_delete(self, volume_id: str) -> str:
        """Delete a volume as os-force_delete of one that is attaching; give its status.

        Returns:
            the status that it has then; empty if it is gone.
        """
        volume = self.volume(volume_id)
        volume.update({"status": "deleting", "attach_status": "attaching"})
        volume.save()
        self.manager.delete_volume(self.context, volume)
        try:
            return str(self.volume(volume_id).status)
        except exception.VolumeNotFound:
            return ""

    def rows(self, volume_id: str) -> list[dict[str, Any]]:
        """Give the volume's attachment rows."""
        rows = objects.VolumeAttachmentList.get_all_by_volume_id(
            self.context, volume_id
        )
        return [
            {"id": row.id, "status": row.attach_status, "mode": row.attach_mode}
            for row in rows
        ]

    def together(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Make several calls at the same time, see :func:`at_once.together`."""
        return together(self, calls)


_backend: Backend | None = None


def start(driver: str = OURS, options: Mapping[str, str] | None = None) -> bool:
    """Start this process's back end; say whether its driver initialised."""
    global _backend  # noqa: PLW0603 - a process has one back end, as cinder-volume
    _backend = Backend(driver, dict(options or {}))
    return _backend.initialized()


def backend() -> Backend:
    """Give this process's back end."""
    if _backend is None:
        raise RuntimeError("call start() first")
    return _backend


def call(method: str, *arguments: Any) -> Any:
    """Call a method of this process's back end with plain values."""
    return getattr(backend(), method)(*arguments)
