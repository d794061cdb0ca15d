# SPDX-License-Identifier: Apache-2.0
"""The cloud of the lab, with volumes on this driver or on Cinder's own LVM driver."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from cinderclient.exceptions import BadRequest
from keystoneauth1.session import Session

from lab.cluster import VOLUME_SERVICE, Cluster
from lab.kernel import choice
from lab.plan import SECOND_GROUP
from lab.progress import Terminal
from lab.services import accounts, cinder_conf
from lab.services.files import write_settings
from lab.workdir import PROJECT, WorkFolder
from tests.attachments.cloud import TIMEOUT, Cloud, api

FOLDER = PROJECT / ".lab-attachments"

IN_TREE_BACKEND = "lvm-in-tree"
_IN_TREE_DRIVER = "cinder.volume.drivers.lvm.LVMVolumeDriver"


@contextlib.contextmanager
def started(*, in_tree: bool) -> Iterator[Cloud]:
    """Give the cloud of the lab that is up, or of one that lives as long as the block.

    Args:
        in_tree: the volumes are on Cinder's own LVM driver.
    """
    progress = Terminal()
    cluster = Cluster.find(WorkFolder())
    owned = cluster is None
    if cluster is None:
        choice.prepare(progress)
        cluster = Cluster.up(WorkFolder(FOLDER), progress)
    with contextlib.ExitStack() as end:
        if owned:
            end.callback(cluster.down)
        backend = cinder_conf.BACKEND
        if in_tree:
            backend = IN_TREE_BACKEND
            progress(f"starting cinder-volume for back end {backend}")
            end.enter_context(_in_tree(cluster))
        progress("the cloud is ready")
        yield from _cloud(cluster, backend)
        cluster.check_kernels()


@contextlib.contextmanager
def _in_tree(cluster: Cluster) -> Iterator[None]:
    """Serve a back end of Cinder's own LVM driver in the block, and no other.

    It runs as root: as a plain user, each of the driver's commands would go through
    rootwrap, and an attach has a handful of them. So it cannot share its locks.
    """
    settings = cluster.control.settings()
    settings[IN_TREE_BACKEND] = cinder_conf.backend(
        IN_TREE_BACKEND, volume_driver=_IN_TREE_DRIVER, volume_group=SECOND_GROUP
    )
    cluster.control.configure(settings)
    only = {"DEFAULT": {"enabled_backends": IN_TREE_BACKEND}}
    file = cinder_conf.settings_of(IN_TREE_BACKEND)
    write_settings(cluster.work.path / "etc/cinder" / Path(file).name, only)
    argv = [VOLUME_SERVICE, "--config-file", f"{cinder_conf.ETC}/cinder.conf"]
    cluster.end_volume_service()
    with cluster.nodes["storage"].session() as storage:
        storage("lab.guest.daemons", "prepare_cinder")
        arguments = [*argv, "--config-file", file]
        storage("lab.guest.daemons", "start", IN_TREE_BACKEND, arguments, "root")
    try:
        cluster.wait_for_volume_service(300, IN_TREE_BACKEND, IN_TREE_BACKEND)
        yield
    finally:
        cluster.nodes["storage"].call("lab.guest.daemons", "end", IN_TREE_BACKEND)
        cluster.start_volume_service()


def _cloud(cluster: Cluster, backend: str) -> Iterator[Cloud]:
    clients = cluster.clients
    admin = clients.volume("admin")
    specs = {"volume_backend_name": backend}
    types = []
    for specs_of_kind in ({"multiattach": "<is> True"}, {}):
        kind = "shared" if specs_of_kind else "plain"
        made = admin.volume_types.create(f"attachments-{kind}-{uuid.uuid4()}")
        made.set_keys({**specs, **specs_of_kind})
        types.append(made)

    def session(user: str, service: str | None = None) -> Session:
        opened = clients.session(user, service)
        opened.timeout = TIMEOUT
        return opened

    users = {name: api(session(name), accounts.REGION) for name in _USERS}
    cloud = Cloud(
        **users,
        service=api(session("member", "nova"), accounts.REGION),
        fencer=api(session("admin", "nova"), accounts.REGION),
        shared_type=types[0].name,
        plain_type=types[1].name,
        prepare_thread=cluster.sandbox.join_network,
    )
    yield cloud
    cloud.close()
    for made in types:
        with contextlib.suppress(BadRequest):  # a volume that nobody can end has it
            admin.volume_types.delete(made)


_USERS = ("member", "admin", "reader", "other")
