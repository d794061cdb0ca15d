# SPDX-License-Identifier: Apache-2.0
"""Cinder's real volume API and VolumeManager in one process, without a message bus.

The API layer calls the manager directly instead of by RPC; all else is what runs in
cinder-api and cinder-volume: the rules, the database, the driver, the target, the
kernel. One process has one :class:`Backend`; ending the process is a crash.
"""

import shutil
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder import context, coordination, privsep, rpc  # noqa: E402
from cinder.common import config  # noqa: E402,F401 - registers the options
from cinder.db import api as db_api  # noqa: E402
from cinder.db import migration  # noqa: E402
from cinder.objects import fields  # noqa: E402
from cinder.volume import api as volume_api  # noqa: E402
from cinder.volume import configuration as volume_configuration  # noqa: E402
from cinder.volume import manager as volume_manager  # noqa: E402
from cinder.volume import volume_types  # noqa: E402
from cinder.volume.drivers import lvm  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from lab.guest.sqlite import let_transactions_queue  # noqa: E402
from lab.plan import STORAGE_NODE, VOLUME_GROUP  # noqa: E402
from lab.workdir import INSIDE  # noqa: E402
from taikun_cinder import privsep as our_privsep  # noqa: E402
from taikun_cinder.privsep import lio as lio_calls  # noqa: E402

CONF = cfg.CONF
BACKEND = "lvm-shared"
HOST = f"storage@{BACKEND}"
OURS = "taikun_cinder.driver.MultiattachLVMDriver"

#: Kept on the host, so that they outlive a crash of the node as a real disk does.
DATABASE = INSIDE / "nodes" / STORAGE_NODE.name / "cinder.sqlite"
STATE = Path("/var/lib/cinder")
RECORDS = DATABASE.with_name("records")

_OPTIONS = {
    "volume_backend_name": BACKEND,
    "volume_group": VOLUME_GROUP,
    "target_helper": "lioadm",
    "target_protocol": "iscsi",
    "target_ip_address": STORAGE_NODE.storage_address,
    "lvm_type": "default",
    "volume_clear": "none",
    "taikun_state_path": str(RECORDS),
}


def _configure(options: Mapping[str, str]) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    etc = Path(sys.prefix) / "etc" / "cinder"
    conf = f"""\
[DEFAULT]
state_path = {STATE}
lock_path = {STATE}
rootwrap_config = {etc / "rootwrap.conf"}
transport_url = fake:/
enabled_backends = {BACKEND}
reinit_driver_count = 0
debug = true
[database]
connection = sqlite:///{DATABASE}?timeout=60
[coordination]
backend_url = file://{STATE}
[oslo_concurrency]
lock_path = {STATE}
[{BACKEND}]
"""
    conf += "".join(f"{key} = {value}\n" for key, value in options.items())
    path = Path("/etc/cinder/cinder.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(conf)
    log = INSIDE / "logs" / "cinder-volume.log"
    logging.register_options(CONF)
    CONF(
        ["--config-file", str(path), "--log-file", str(log)],
        project="cinder",
        default_config_files=[],
    )
    logging.setup(CONF, "cinder")


def _make_database() -> None:
    if DATABASE.exists():
        return
    fresh = DATABASE.with_suffix(".fresh")
    if not fresh.exists():
        migration.db_sync()
        shutil.copy(DATABASE, fresh)  # the migrations take seconds, a copy nothing
    shutil.copy(fresh, DATABASE)


def configuration() -> Any:
    """Give the back end's section, as cinder.conf has it."""
    section = volume_configuration.Configuration(
        volume_manager.volume_backend_opts, config_group=BACKEND
    )
    section.append_config_values(lvm.volume_opts)
    return section


class Backend:
    """One cinder-volume back end, and the API in front of it.

    Args:
        driver: the class that ``volume_driver`` names.
        options: the back end's options that differ from the lab's.
    """

    def __init__(
        self, driver: str = OURS, options: Mapping[str, str] | None = None
    ) -> None:
        _configure({**_OPTIONS, **(options or {})})
        _make_database()
        let_transactions_queue(db_api.get_engine())
        # As root, in this process: starting the privileged daemon takes as long as a
        # test. The cluster runs it for real.
        for privileged in (privsep.sys_admin_pctxt, our_privsep.context):
            privileged.set_client_mode(False)
        rpc.init(CONF)
        coordination.COORDINATOR.start()
        self._owner = uuid.uuid4().hex
        self.manager = volume_manager.VolumeManager(
            volume_driver=driver, service_name=BACKEND, host=HOST
        )
        self.manager.init_host(service_id=1)
        self.api = volume_api.API()
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

    def create_volume(self, size: int = 1, multiattach: bool = True) -> str:
        """Create a volume of ``size`` GiB and give its id."""
        name = "multiattach" if multiattach else "plain"
        specs = {"multiattach": "<is> True"} if multiattach else {}
        try:
            kind = volume_types.get_by_name_or_id(self.context, name)
        except volume_types.exception.VolumeTypeNotFoundByName:
            kind = volume_types.create(self.context, name, specs)
        volume = objects.Volume(
            self.context,
            size=size,
            host=f"{HOST}#{BACKEND}",
            status="creating",
            attach_status=fields.VolumeAttachStatus.DETACHED,
            multiattach=multiattach,
            volume_type_id=kind["id"],
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
        volume = self.volume(volume_id)
        volume.update({"status": "deleting"})
        volume.save()
        self.manager.delete_volume(self.context, volume)

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
        self, volume_id: str, connector: dict[str, Any], mode: str | None = None
    ) -> dict[str, Any]:
        """Reserve, update and complete; give the connection information.

        The attachment's id is its ``attachment_id``.
        """
        attachment_id = self.reserve(volume_id, mode=mode)
        information = self.update(attachment_id, connector)
        self.complete(attachment_id)
        return information

    def detach(self, attachment_id: str) -> None:
        """Delete an attachment (DELETE /attachments/ID)."""
        reference = objects.VolumeAttachment.get_by_id(self.context, attachment_id)
        self.api.attachment_delete(self.context, reference)

    def legacy_detach(self, volume_id: str, attachment_id: str) -> None:
        """Detach by the old volume action (POST /volumes/ID/action os-detach)."""
        self.manager.detach_volume(self.context, volume_id, attachment_id)

    def reconcile(self) -> None:
        """Let one interval of our driver's reconcile pass."""
        self.manager.driver._reconcile.once()

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
        """Make several calls at the same time, a thread each.

        Returns:
            for each call its result, or ``{"error": TEXT}``.
        """
        results: list[Any] = [None] * len(calls)
        barrier = threading.Barrier(len(calls))

        def work(index: int, name: str, arguments: Sequence[Any]) -> None:
            barrier.wait()
            try:
                results[index] = getattr(self, name)(*arguments)
            except Exception as error:
                results[index] = {"error": f"{type(error).__name__}: {error}"}

        threads = [
            threading.Thread(target=work, args=(index, name, arguments))
            for index, (name, arguments) in enumerate(calls)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


_backend: Backend | None = None


def start(driver: str = OURS, options: Mapping[str, str] | None = None) -> bool:
    """Start this process's back end; say whether its driver initialised."""
    global _backend  # noqa: PLW0603 - a process has one back end, as cinder-volume
    _backend = Backend(driver, dict(options or {}))
    return _backend.initialized()


def call(method: str, *arguments: Any) -> Any:
    """Call a method of this process's back end with plain values."""
    if _backend is None:
        raise RuntimeError("call start() first")
    return getattr(_backend, method)(*arguments)
