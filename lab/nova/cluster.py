# SPDX-License-Identifier: Apache-2.0
"""The cluster with Nova: its compute nodes are hosts of servers."""

import dataclasses
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import openstack
from keystoneclient.v3 import client as keystoneclient

from lab.cluster import Cluster, Progress
from lab.errors import LabError, LogError
from lab.guest.service_user import USER
from lab.node import Node
from lab.nova import conf, image, services
from lab.plan import COMPUTE_NODES, STORAGE_NODE
from lab.services.accounts import AUTH_URL
from lab.services.daemon import Daemon
from lab.workdir import WorkFolder

#: What a host needs with two servers or three, in MiB.
_MEMORY = 2816

#: Of compute's API: a server keeps its host's name to itself before.
MICROVERSION = "2.96"

#: What each server is of, and what it boots.
FLAVOR = IMAGE = "small"
#: The type of the volumes that servers boot from.
BOOT_TYPE = "boot"


class NovaCluster(Cluster):
    """A cluster whose compute nodes run servers."""

    plans = (
        STORAGE_NODE,
        *(dataclasses.replace(plan, memory=_MEMORY) for plan in COMPUTE_NODES),
    )

    @classmethod
    def up(cls, work: WorkFolder, progress: Progress, user: str = USER) -> Self:
        """Bring it up, see ``Cluster.up``; what is fetched is fetched first."""
        # Beside three kernels that boot, mirrors have been given up as too slow.
        image.kernel(progress)
        return super().up(work, progress, user)

    @functools.cached_property
    def services(self) -> dict[str, Daemon]:
        """The control plane's daemons of Nova, by name."""
        return services.daemons(self.sandbox, self.work, self.control.passwords)

    @property
    def daemons(self) -> dict[str, Daemon]:
        """All that the control plane runs, by name."""
        return self.control.daemons | self.services

    @functools.lru_cache  # noqa: B019 - there is one cluster, and it lives on
    def cloud(self, user: str) -> Any:
        """Give the cloud as a user of the lab sees it: a connection of openstacksdk."""
        return openstack.connection.Connection(
            session=self.clients.session(user),
            compute_api_version="2",
            compute_default_microversion=MICROVERSION,
        )

    @property
    def hosts(self) -> tuple[Node, ...]:
        """The nodes that run servers."""
        return tuple(self.nodes[plan.name] for plan in COMPUTE_NODES)

    def _start_services(self, progress: Progress) -> None:
        super()._start_services(progress)
        passwords = self.control.passwords
        conf.write_files(self.work, passwords, *(host.plan for host in self.hosts))
        with ThreadPoolExecutor(initializer=self.sandbox.join_network) as pool:
            disk = pool.submit(self._make_image, progress)
            hosts = [pool.submit(self._start_host, host) for host in self.hosts]
            progress("making the databases of Nova and Placement")
            services.make_schemas(self.sandbox, self.work)
            services.fill_catalogue(self._identity())
            del self.clients  # their tokens have the catalogue of before
            started = [pool.submit(d.start) for d in self.services.values()]
            for begun, name in zip(started, self.services, strict=True):
                begun.result()
                progress(f"{name} serves")
            for host in hosts:
                host.result()
            disk.result()
        self._wait_for_hosts()
        progress("Nova's scheduler knows all hosts")
        self._make_offers()

    def _identity(self) -> Any:
        return keystoneclient.Client(
            session=self.clients.session("admin"), endpoint_override=AUTH_URL
        )

    def _make_image(self, progress: Progress) -> None:
        """Build the disk of servers and give it to Glance."""
        folder = self.work.path / "nova/image"
        folder.mkdir(parents=True, exist_ok=True)
        disk = image.build(folder, progress)
        self.control.start_image_service()
        glance = self.clients.image("admin")
        made = glance.images.create(
            name=IMAGE,
            disk_format="raw",
            container_format="bare",
            visibility="public",
            hw_machine_type="pc",
        )
        with disk.open("rb") as file:
            glance.images.upload(made.id, file)
        progress("Glance has the image of servers")

    @staticmethod
    def _start_host(host: Node) -> None:
        host.call(
            "lab.guest.hypervisor",
            "start",
            host.plan.management_address,
            conf.STATE,
            str(conf.BIN),
        )

    def _wait_for_hosts(self, timeout: float = 600) -> None:
        """Wait until each host serves, and the scheduler can choose it.

        Raises:
            LogError: nova-compute of one ended; its log tells why.
            LabError: one is still missing after ``timeout`` seconds.
        """
        compute = self.cloud("admin").compute
        deadline = time.monotonic() + timeout
        while missing := [h for h in self.hosts if not self._serves(compute, h.name)]:
            for host in missing:
                if not host.call("lab.guest.daemons", "alive", f"nova-{host.name}"):
                    log = self.work.log(f"nova-{host.name}")
                    raise LogError(f"nova-compute of {host.name} ended", log)
            if time.monotonic() > deadline:
                names = ", ".join(host.name for host in missing)
                raise LabError(f"not in {timeout:.0f} s for servers: {names}")
            time.sleep(1)

    @staticmethod
    def _serves(compute: Any, name: str) -> bool:
        return any(
            found.name == name and found.state == "up" and found.status == "enabled"
            for found in compute.hypervisors(details=True)
        )

    def _make_offers(self) -> None:
        """Make the flavor, and the type of the volumes that servers boot from."""
        self.cloud("admin").compute.create_flavor(
            name=FLAVOR, ram=128, vcpus=1, disk=0, is_public=True
        )
        made = self.clients.volume("admin").volume_types.create(BOOT_TYPE)
        made.set_keys({"volume_backend_name": "lvm-shared"})

    def give_up(self, name: str, lost: bool = True) -> bool:
        """Tell Nova that a host is lost, as an operator does; or that it is not.

        Returns:
            whether Nova takes that: not before a host that is back has forgotten the
            servers that were evacuated from it.
        """
        compute = self.cloud("admin").compute
        (service,) = compute.services(host=name, binary="nova-compute")
        try:
            compute.update_service_forced_down(
                service, name, "nova-compute", forced=lost
            )
        except openstack.exceptions.BadRequestException:
            return False
        return True

    def boot_again(self, name: str) -> None:
        """Boot a node whose power was cut; a host of servers serves again."""
        super().boot_again(name)
        host = self.nodes[name]
        if host in self.hosts:
            self._start_host(host)
            self._serve_again(name)

    def mend(self) -> None:
        """Boot the nodes that were lost anew, and start again what ran on them."""
        lost = [host for host in self.hosts if not host.answers()]
        super().mend()
        for host in lost:
            self._start_host(host)
            self._serve_again(host.name)

    def _serve_again(self, name: str, timeout: float = 300) -> None:
        deadline = time.monotonic() + timeout
        while not self.give_up(name, lost=False):
            if time.monotonic() > deadline:
                raise LabError(f"Nova does not take {name} for up in {timeout:.0f} s")
            time.sleep(1)
        self._wait_for_hosts()
