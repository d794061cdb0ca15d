# SPDX-License-Identifier: Apache-2.0
"""A driver in a process of its own, called as Cinder calls it, and what calls take."""

import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from lab.guest import privileged
from lab.guest import volume as lab_volume
from lab.guest.initiators import connector
from lab.guest.volume import OURS, Backend
from lab.guest.volume_settings import BACKEND, HOST, SQLITE

# lab.guest.volume has registered Cinder's objects, without which this cannot be.
from cinder import objects, privsep  # isort: skip
from cinder.objects.fields import VolumeAttachStatus  # isort: skip

from oslo_config import cfg
from oslo_log import log as logging

from taikun_cinder import database
from taikun_cinder.cinder_db import api as db_api
from taikun_cinder.cinder_db import models
from taikun_cinder.privsep import cipher, lio

from bench.database import DATABASE  # isort: skip
from bench.guest.timing import Inside, Taken, count_commands, timed, total  # isort: skip

IN_TREE = "cinder.volume.drivers.lvm.LVMVolumeDriver"


class Measured(Backend):
    """A back end that is measured; ours with its privileged daemon.

    It reconciles only when it is told to, unless the options say otherwise.
    """

    def __init__(self, driver: str, options: Mapping[str, str]) -> None:
        ours = {"taikun_reconcile_interval": "0", **options}
        # A test has no database beside its node.
        database = DATABASE.read_text() if DATABASE.exists() else SQLITE
        super().__init__(driver, ours if driver == OURS else options, database)
        count_commands()

    def _become_privileged(self) -> None:
        # As an operator's: the lab's tests want all logged, which costs milliseconds,
        # most of all in the privileged process, which sends each line over.
        cfg.CONF.set_override("debug", False)
        logging.setup(cfg.CONF, "cinder")
        privsep.sys_admin_pctxt.set_client_mode(False)
        # Forked before this process has threads, as it would be started on a node.
        privileged.use_forked()

    # -- volumes that are exported beside those that are measured

    def fill(self, ids: Sequence[str]) -> None:
        """Put volumes into the database, each with two hosts, and export them."""
        type_id = self.volume(self.create_volume()).volume_type_id
        engine = db_api.get_engine()
        with engine.begin() as transaction:
            for volume_id in ids:
                row = {
                    "id": volume_id,
                    "host": f"{HOST}#{BACKEND}",
                    "size": 1,
                    "status": "in-use",
                    "attach_status": "attached",
                    "multiattach": True,
                    "volume_type_id": type_id,
                    "availability_zone": "nova",
                    "project_id": self._owner,
                    "user_id": self._owner,
                    "use_quota": False,
                    "deleted": False,
                }
                transaction.execute(models.Volume.__table__.insert().values(row))
        for volume_id in ids:
            for host in ("host-a", "host-b"):
                self._attach(volume_id, connector(host))

    def _attach(self, volume_id: str, host: dict[str, Any]) -> str:
        """Attach a host through the driver alone; give the attachment's id."""
        row = self.row(volume_id)
        self._initialize(volume_id, row, host)
        return row

    def _initialize(self, volume_id: str, row: str, host: dict[str, Any]) -> Taken:
        volume = self.volume(volume_id)
        information, taken = timed(
            lambda: self.manager.driver.initialize_connection(volume, host)
        )
        self._write(row, host, {**information["data"], "attachment_id": row})
        return taken

    def row(self, volume_id: str) -> str:
        """Reserve an attachment, past Cinder's rule that there is one at a time."""
        new = objects.VolumeAttachment(
            self.context,
            volume_id=volume_id,
            attach_status=VolumeAttachStatus.RESERVED,
            attach_mode="rw",
            instance_uuid=str(uuid.uuid4()),
        )
        new.create()
        return str(new.id)

    def _write(
        self, row: str, host: dict[str, Any], information: dict[str, Any]
    ) -> None:
        values = {
            "connector": json.dumps(host),
            "connection_info": json.dumps(information),
            "attached_host": host["host"],
            "attach_status": VolumeAttachStatus.ATTACHED,
        }
        table = models.VolumeAttachment.__table__
        change = table.update().where(table.c.id == row).values(values)
        with db_api.get_engine().begin() as transaction:
            transaction.execute(change)

    def _forget(self, row: str) -> None:
        objects.VolumeAttachment.get_by_id(self.context, row).destroy()

    def _host_of(self, row: str) -> dict[str, Any]:
        found = objects.VolumeAttachment.get_by_id(self.context, row)
        return dict(found.connector)

    # -- what is measured

    def cycle(self, volume_id: str) -> dict[str, Taken]:
        """Attach a volume to two hosts and detach it, by the driver's bare calls."""
        driver, taken = self.manager.driver, {}
        first, second = self.row(volume_id), self.row(volume_id)
        volume = self.volume(volume_id)
        host = connector("bench-a")
        model, export = timed(
            lambda: driver.create_export(self.context, volume, dict(host))
        )
        volume.update(model)
        volume.save()
        taken["first attach"] = total(export, self._initialize(volume_id, first, host))
        host = connector("bench-b")
        taken["further attach"] = self._initialize(volume_id, second, host)
        host = connector("bench-b")
        taken["repeated attach"] = self._initialize(volume_id, second, host)
        taken["detach"] = self._terminate(volume_id, second)
        ended = self._terminate(volume_id, first)
        volume = self.volume(volume_id)
        _, removed = timed(lambda: driver.remove_export(self.context, volume))
        taken["last detach"] = total(ended, removed)
        return taken

    def _terminate(self, volume_id: str, row: str) -> Taken:
        volume, host = self.volume(volume_id), self._host_of(row)
        _, taken = timed(lambda: self.manager.driver.terminate_connection(volume, host))
        self._forget(row)
        return taken

    def managed_cycle(self, volume_id: str) -> dict[str, Any]:
        """Attach a volume to two hosts and detach one, through the VolumeManager.

        ``inside`` are the seconds of attachment_update that pass in the driver.
        """
        taken: dict[str, Any] = {}
        first = self._managed_attach(volume_id, "bench-a")[0]
        second, taken["attachment_update"], taken["inside"] = self._managed_attach(
            volume_id, "bench-b"
        )
        taken["attachment_delete"] = self._managed_detach(volume_id, second)
        self._managed_detach(volume_id, first)
        return taken

    def _managed_attach(self, volume_id: str, name: str) -> tuple[str, Taken, float]:
        row, host, volume = self.reserve(volume_id), connector(name), None
        volume = self.volume(volume_id)
        with_mountpoint = {**host, "mountpoint": "na"}
        with Inside(self.manager.driver) as inside:
            information, taken = timed(
                lambda: self.manager.attachment_update(
                    self.context, volume, with_mountpoint, row
                )
            )
        reference = objects.VolumeAttachment.get_by_id(self.context, row)
        reference.connection_info = information
        reference.save()
        self.complete(row)
        return row, taken, inside.seconds

    def _managed_detach(self, volume_id: str, row: str) -> Taken:
        volume = self.volume(volume_id)
        _, taken = timed(
            lambda: self.manager.attachment_delete(self.context, row, volume)
        )
        self.volume(volume_id).finish_detach(row)
        return taken

    def manager_alone(self, volume_id: str, number: int) -> Taken:
        """Do the same with a driver that does nothing: what Cinder's manager takes."""

        def nothing(*_: Any) -> dict[str, Any]:
            return {"driver_volume_type": "iscsi", "data": {}}

        driver = self.manager.driver
        with (
            mock.patch.object(driver, "create_export", return_value={}),
            mock.patch.object(driver, "initialize_connection", nothing),
        ):
            return self.at_once(volume_id, number, managed=True)

    def at_once(self, volume_id: str, number: int, managed: bool) -> Taken:
        """Attach a number of hosts at the same time; give what all took together."""
        rows = [self.row(volume_id) for _ in range(number)]
        volume = self.volume(volume_id)
        driver = self.manager.driver
        # In-tree, this makes the target; without it all of them would fail.
        volume.update(driver.create_export(self.context, volume, connector("host-0")))
        volume.save()
        errors: list[Exception] = []

        # As they come from cinder-api: reading one takes Cinder 10 ms for each row.
        volumes = [self.volume(volume_id) for _ in rows]

        def attach(at: int) -> None:
            host = connector(f"host-{at}")
            try:
                if managed:
                    self.manager.attachment_update(
                        self.context, volumes[at], host, rows[at]
                    )
                else:
                    driver.initialize_connection(volumes[at], host)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=attach, args=(at,)) for at in range(number)]
        _, taken = timed(lambda: _run(threads))
        for row in rows:
            self._forget(row)
        if errors:
            raise errors[0]
        if self._driver == OURS:
            # The rows are gone, but the driver knows the hosts that it has just let in.
            driver.terminate_connection(self.volume(volume_id), None)
        driver.remove_export(self.context, self.volume(volume_id))
        self.set_status(volume_id, "available")  # the manager left it attaching
        return taken

    def stats(self) -> Taken:
        """Measure an update of the back end's statistics."""
        return timed(lambda: self.manager.driver.get_volume_stats(refresh=True))[1]

    def clear(self, ids: Sequence[str]) -> None:
        """Take volumes' exports from the kernel, as a reboot does."""
        driver = self.manager.driver
        for volume_id in ids:
            driver._target.ensure(
                driver._exports.layout.target(self.volume(volume_id)), None
            )

    def restore(self, ids: Sequence[str]) -> Taken:
        """Export volumes again as Cinder does at its start; the kernel has nothing."""
        volumes = [self.volume(volume_id) for volume_id in ids]
        driver = self.manager.driver

        def ensure() -> None:
            for volume in volumes:
                driver.ensure_export(self.context, volume)

        return timed(ensure)[1]

    def pass_once(self) -> Taken:
        """Measure one pass of our reconcile."""
        return timed(self.reconcile)[1]

    def query(self, volume_id: str) -> Taken:
        """Measure one look at Cinder's attachments, which each attach needs."""
        volume, target = self.volume(volume_id), self.manager.driver._target
        return timed(lambda: database.rows_of(volume, target))[1]

    def cinders_query(self, volume_id: str) -> Taken:
        """Measure what would tell the same by Cinder's own functions."""

        def look() -> None:
            db_api.volume_get(self.context, volume_id)
            db_api.volume_attachment_get_all_by_volume_id(self.context, volume_id)

        return timed(look)[1]

    def round_trip(self) -> Taken:
        """Measure a privileged call that finds nothing and changes nothing."""
        key = cipher.new_key()
        return timed(lambda: lio.read("iqn.2010-10.org.openstack:nothing", key))[1]


def _run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(which: str, options: Mapping[str, str] | None = None) -> None:
    """Start this process's driver."""
    name = {"OURS": OURS, "IN_TREE": IN_TREE}[which]
    lab_volume._backend = Measured(name, options or {})
