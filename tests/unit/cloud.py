# SPDX-License-Identifier: Apache-2.0
"""A small cloud: Cinder's real volume manager and database, and hosts that attach."""

import dataclasses
import threading
import uuid
from concurrent import futures
from pathlib import Path
from typing import Any

from cinder import context, objects
from cinder.volume import manager

from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from tests.contract.memory import Session
from tests.unit.memory import MemoryVolumeGroup


@dataclasses.dataclass(frozen=True)
class Host:
    """A host that attaches volumes."""

    name: str

    @property
    def connector(self):
        return {
            "host": self.name,
            "initiator": f"iqn.2026-11.com.example:{self.name}",
            "multipath": False,
        }


#: The connectors of two hosts.
A, B = Host("compute1").connector, Host("compute2").connector


@dataclasses.dataclass
class Attached:
    """A server's use of a volume: its attachment, and the host's session."""

    id: str
    session: Session | None = None
    information: dict[str, Any] | None = None

    def writes(self):
        """Try to write; say whether the target lets the host."""
        assert self.session is not None
        try:
            self.session.write(b"by a host")
        except OSError:
            return False
        return True


def lose(*attached, table=models.VolumeAttachment):
    """Take rows out of the database, as one that was restored does not have them."""
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        for lost in attached:
            session.query(table).filter_by(id=lost.id).delete()


def spoil(row, table=models.VolumeAttachment, **columns):
    """Write into a row what Cinder does not write."""
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        session.query(table).filter_by(id=row.id).update(columns)


def move(attached, volume):
    """Let a row be another volume's, as long as it would be missing."""
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        rows.update({"volume_id": volume})


class _Later:
    """A clock that is ahead of another one."""

    def __init__(self, clock):
        self._clock, self.seconds = clock, 0.0

    def __call__(self):
        return self._clock() + self.seconds


class Cloud:
    """Cinder's manager with the driver under test; plays cinder-api and the hosts."""

    def __init__(self, section, volume_type):
        self.manager = manager.VolumeManager(
            volume_driver="taikun_cinder.driver.MultiattachLVMDriver",
            service_name=section,
            host=f"node@{section}",
        )
        self._type = volume_type
        # As cinder-volume makes at its start (cinder.service.Service).
        self.service = objects.Service(
            self.context,
            host=self.manager.host,
            binary="cinder-volume",
            topic="cinder-volume",
            report_count=0,
        )
        self.service.create()
        self.start_driver()

    def restart_driver(self):
        """Start the driver anew; the kernel keeps its exports."""
        self.end_driver()
        self.driver.__init__(
            configuration=self.driver.configuration, host=self.manager.host
        )
        self.start_driver()

    def start_driver(self):
        self.driver.vg = MemoryVolumeGroup()
        self.driver.set_initialized()
        if not self.driver.configuration.taikun_reconcile_interval:
            self.driver._reconcile.join()

    def end_driver(self):
        """End the driver's threads, as the end of its process does."""
        self.driver._reconcile.stop()
        self.driver._monitor.stop()

    @property
    def context(self):
        """The context of a new request, which the thread works for from now on."""
        return context.RequestContext("user", "project", is_admin=True)

    @property
    def driver(self):
        return self.manager.driver

    @property
    def target(self):
        return self.driver._target

    def record(self, volume_id):
        """Give the file that the driver keeps for a volume."""
        folder = Path(self.driver.configuration.taikun_state_path)
        return folder / f"{volume_id}.json"

    def volume(self, **values):
        """Make a volume, and give its id."""
        new = objects.Volume(
            self.context,
            **{
                "size": 1,
                "host": f"{self.manager.host}#pool",
                "status": "available",
                "attach_status": "detached",
                "volume_type_id": self._type.id,
                "multiattach": True,
                "use_quota": False,
                "user_id": "user",
                "project_id": "project",
                "display_name": "",
                "availability_zone": "nova",
            }
            | values,
        )
        new.create()
        return new.id

    def load(self, volume_id):
        """Read the volume as each request does."""
        return objects.Volume.get_by_id(self.context, volume_id)

    def acls(self, volume_id):
        """Give the initiators that may log in; None if there is no target at all."""
        return self.target.acls_of(self.load(volume_id))

    def volume_type(self, **specs):
        """Make another multi-attach volume type, and give what a volume has of it."""
        new = objects.VolumeType(
            self.context,
            name=str(uuid.uuid4()),
            description="",
            is_public=True,
            extra_specs={"multiattach": "<is> True"}
            | {f"taikun:{name}": value for name, value in specs.items()},
            projects=[],
        )
        new.create()
        return {"volume_type_id": new.id}

    def set_readonly(self, volume_id, text):
        """Set the flag as Cinder's API does, which makes a text of it."""
        volume = self.load(volume_id)
        volume.admin_metadata_update({"readonly": text}, False)

    def log_out(self, attached):
        """Log the host out, as os-brick does before an attachment is deleted."""
        attached.session.logout()

    def wait(self, seconds):
        """Let time pass by the driver's clock."""
        exports = self.driver._exports
        if not isinstance(exports._clock, _Later):
            exports._clock = _Later(exports._clock)
        exports._clock.seconds += seconds

    def reserve(self, volume_id, mode="null", server=None):
        """Reserve an attachment as POST /attachments does without a connector."""
        attached = self._reserve(volume_id, server)
        self._write_mode(attached, volume_id, mode)
        return attached

    def _reserve(self, volume_id, server):
        volume = self.load(volume_id)
        if volume.status == "available":
            volume.status = "reserved"
            volume.save()
        row = objects.VolumeAttachment(
            self.context,
            volume_id=volume_id,
            attach_status="reserved",
            instance_uuid=server or str(uuid.uuid4()),
        )
        row.create()
        return Attached(row.id)

    def _write_mode(self, attached, volume_id, mode, **more):
        # As API.attachment_create of cinder.volume.api: any text means read-only to it.
        flag = self.load(volume_id).admin_metadata.get("readonly", False)
        row = objects.VolumeAttachment.get_by_id(self.context, attached.id)
        row.attach_mode = "ro" if flag else mode
        row.update(more)
        row.save()

    def attach(self, volume_id, connector, mode="null", server=None):
        """Reserve, attach and log in, as Nova does for one server."""
        reserved = self.reserve(volume_id, mode, server)
        return self.connect(volume_id, connector, reserved)

    def attach_in_one(self, volume_id, connector, mode="null", server=None):
        """Attach by one POST /attachments: the row gets its mode last."""
        attached = self._reserve(volume_id, server)
        attached.information = self.manager.attachment_update(
            self.context, self.load(volume_id), dict(connector), attached.id
        )
        attached.session = self.target.log_in(
            self.load(volume_id), connector, attached.information
        )
        self._write_mode(
            attached,
            volume_id,
            mode,
            connection_info=attached.information,
            attach_status="attached",
        )
        return attached

    def connect(self, volume_id, connector, attached):
        volume = self.load(volume_id)
        information = self.manager.attachment_update(
            self.context, volume, dict(connector), attached.id
        )
        self._write(attached, information)
        attached.information = information
        attached.session = self.target.log_in(volume, connector, information)
        return attached

    def lose_rows(self, volume_id):
        """Take a volume's attachments out of the database, as one restored has none."""
        with db.main_context_manager.writer.using(self.context) as session:
            rows = session.query(models.VolumeAttachment)
            rows.filter_by(volume_id=volume_id).delete()

    def terminate(self, volume_id, attached):
        """End an attachment's connection as the manager does; give the answer."""
        row = objects.VolumeAttachment.get_by_id(self.context, attached.id)
        return self.driver.terminate_connection(self.load(volume_id), row.connector)

    def detach(self, volume_id, attached):
        """Detach as cinder-api does: the row goes after the manager has answered."""
        volume = self.load(volume_id)
        self.manager.attachment_delete(self.context, attached.id, volume)
        self.forget(volume_id, attached)

    def forget(self, volume_id, attached):
        """Delete the row."""
        self.load(volume_id).finish_detach(attached.id)

    def reconcile(self):
        """Let one interval of the reconcile pass."""
        self.driver._reconcile.once()

    def pass_often(self):
        """Let the reconcile pass so often that all that can be over is."""
        for _ in range(4):
            self.wait(400)
            self.reconcile()

    def as_by_the_in_tree_driver(self, volume_id, attached, mode):
        """Let an attachment be as if the in-tree driver had made it."""
        row = objects.VolumeAttachment.get_by_id(self.context, attached.id)
        connector, information = dict(row.connector), dict(row.connection_info)
        for name in [name for name in connector if name.startswith("taikun_cinder")]:
            del connector[name]
        del information["taikun_cinder_initiator"]
        row.update(
            {
                "connector": connector,
                "connection_info": information,
                "attach_mode": mode,
            }
        )
        row.save()
        self.record(volume_id).unlink()

    def watch(self, seconds=None):
        """Wait until the driver has seen what Cinder wrote after its answers.

        It looks for ever for what Cinder never writes, so a test of that says how long.
        """
        for thread in threading.enumerate():
            if thread.name.startswith("taikun-watch-"):
                thread.join(seconds)

    def lose_answer(self, volume_id, connector, server):
        """Answer an attach whose row is deleted before it gets its connector.

        So does Nova when cinder-volume did not answer in time: as the row has no
        connector, the driver is not told.
        """
        reserved = self.reserve(volume_id, server=server)
        self.driver.initialize_connection(self.load(volume_id), dict(connector))
        self.manager.attachment_delete(self.context, reserved.id, self.load(volume_id))
        self.forget(volume_id, reserved)

    def os_attach(self, volume_id, connector, mode="rw", *, reserves=True):
        """Attach by Cinder's older calls, as Ironic does: no connector is written."""
        volume = self.load(volume_id)
        before = volume.status
        if reserves:
            volume.status = "attaching"
            volume.save()
        session = self.connect_only(volume, connector)
        volume.status = before
        volume.save()
        row = self.manager.attach_volume(
            self.context, volume_id, str(uuid.uuid4()), None, "/dev/sdb", mode, volume
        )
        return Attached(row.id, session)

    def os_detach(self, volume_id, attached, connector=None):
        """Detach by Cinder's older calls."""
        if connector:
            self.manager.terminate_connection(self.context, volume_id, connector)
        self.manager.detach_volume(
            self.context, volume_id, attached.id, self.load(volume_id)
        )

    def force_detach(self, volume_id, attached, connector):
        """Detach by os-force_detach: both calls are of one request."""
        volume, request = self.load(volume_id), self.context
        self.manager.terminate_connection(request, volume_id, dict(connector))
        self.manager.detach_volume(request, volume_id, attached.id, volume)

    def connect_only(self, volume, connector):
        """Connect without an attachment, as Cinder does for itself."""
        information = self.manager.initialize_connection(
            self.context, volume, dict(connector)
        )
        return self.target.log_in(volume, connector, information["data"])

    def _write(self, attached, information):
        # As cinder-api does when the manager has answered.
        row = objects.VolumeAttachment.get_by_id(self.context, attached.id)
        row.connection_info = information
        row.attach_status = "attached"
        row.save()


def in_threads(*calls):
    """Make the calls at the same time, and raise what one of them raised."""
    with futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
