# SPDX-License-Identifier: Apache-2.0
"""Makes a cloud for tempest of the lab's cluster: all services, and an image."""

import io
import secrets
from typing import Any

from lab.cluster import Cluster, Progress
from lab.nova.cluster import IMAGE, NovaCluster
from lab.plan import SECOND_GROUP, STORAGE_NODE
from lab.services import glance
from lab.services.accounts import AUTH_URL, REGION
from lab.services.cinder_conf import BACKEND, PATHS_BACKEND, backend
from lab.services.files import Settings
from tests.tempest.settings import Cloud

IN_TREE = "cinder.volume.drivers.lvm.LVMVolumeDriver"

#: Where every request is answered with 404, which tempest takes for a network service
#: without security groups; see ``settings``.
NO_NETWORK = f"{AUTH_URL}/no-network"

_FILTER = "TaikunMultiattachFilter"
_MULTIATTACH_TYPE = "multiattach"

#: Of the image, in bytes. Volumes are made of it; no server boots it.
_IMAGE = 2**20


def driver(cluster: Cluster) -> str:
    """Give the driver of the back ends, as cinder.conf names it."""
    return cluster.control.settings()[BACKEND]["volume_driver"]


def go_in_tree(cluster: Cluster) -> None:
    """Restart Cinder with the in-tree driver and without anything of ours.

    Raises:
        LabError: a service did not come up.
    """
    cluster.control.configure(_in_tree(cluster.control.settings()))
    cluster.end_volume_service()
    cluster.control.restart("cinder-scheduler")
    cluster.start_volume_service()
    cluster.wait_for_volume_service()


def _in_tree(settings: Settings) -> Settings:
    filters = settings["DEFAULT"]["scheduler_default_filters"].split(",")
    kept = ",".join(name for name in filters if name != _FILTER)
    return {
        **settings,
        "DEFAULT": {**settings["DEFAULT"], "scheduler_default_filters": kept},
        BACKEND: backend(BACKEND, volume_driver=IN_TREE),
        PATHS_BACKEND: backend(
            PATHS_BACKEND, volume_driver=IN_TREE, volume_group=SECOND_GROUP
        ),
    }


def prepare(cluster: Cluster, progress: Progress) -> Cloud:
    """Start what a cluster comes up without, and make what tempest refers to.

    Raises:
        LabError: a service did not come up.
    """
    progress(f"starting cinder-volume for {PATHS_BACKEND}")
    cluster.start_backend(PATHS_BACKEND)
    progress("starting cinder-backup")
    # It connects over iSCSI as any node does. On the node with the volumes no gigabyte
    # has to cross from one kernel to another.
    cluster.start_backup_service(STORAGE_NODE.name)
    flavors = None
    if isinstance(cluster, NovaCluster):
        image = cluster.cloud("admin").image.find_image(IMAGE).id
        flavors = (_flavor(cluster, 128), _flavor(cluster, 160))
    else:
        progress("starting the image service")
        cluster.control.start_image_service()
        # The lab's own clients have a fixed address for it.
        _catalogue(cluster, "image", "glance", glance.URL)
        progress("making an image")
        image = _image(cluster)
    _catalogue(cluster, "network", "none", NO_NETWORK)
    progress("making a volume type")
    capabilities: dict[str, Any] = next(iter(cluster.pools().values()))
    return Cloud(
        password=cluster.control.passwords["admin"],
        image=image,
        multiattach_type=_volume_type(cluster),
        capabilities=capabilities,
        flavors=flavors,
    )


def _flavor(cluster: NovaCluster, memory: int) -> str:
    """Make a flavor with a disk: only an administrator may boot an image without."""
    made = cluster.cloud("admin").compute.create_flavor(
        name=f"tempest-{memory}", ram=memory, vcpus=1, disk=1, is_public=True
    )
    return str(made.id)


def _catalogue(cluster: Cluster, kind: str, name: str, url: str) -> None:
    """Let clients find a service."""
    identity = cluster.clients.session("admin")
    where = {"service_type": "identity", "interface": "public"}

    def make(what: str, **fields: str) -> str:
        answer = identity.post(f"/{what}s", endpoint_filter=where, json={what: fields})
        return str(answer.json()[what]["id"])

    service = make("service", type=kind, name=name)
    make(
        "endpoint",
        service_id=service,
        interface="public",
        region_id=REGION,
        url=url,
    )


def _image(cluster: Cluster) -> str:
    images = cluster.clients.image("admin").images
    made = images.create(
        name="tempest", disk_format="raw", container_format="bare", visibility="public"
    )
    images.upload(made.id, io.BytesIO(secrets.token_bytes(_IMAGE)))
    return str(made.id)


def _volume_type(cluster: Cluster) -> str:
    types = cluster.clients.volume("admin").volume_types
    made = types.create(_MULTIATTACH_TYPE)
    made.set_keys({"multiattach": "<is> True"})
    return str(made.name)
