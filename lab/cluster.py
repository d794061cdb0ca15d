# SPDX-License-Identifier: Apache-2.0
"""The cluster: a control plane, a storage node and two compute nodes."""

import contextlib
import functools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from lab.clients import Clients
from lab.errors import LabError, LogError
from lab.guest.service_user import USER
from lab.network import coming_up, networks
from lab.node import Node
from lab.plan import CLUSTER, STORAGE_NODE
from lab.sandbox import Sandbox
from lab.services.cinder_conf import BACKEND, ETC, settings_of
from lab.services.control import ControlPlane, start_control_plane
from lab.services.daemon import Daemon
from lab.services.rabbitmq import consumers
from lab.workdir import WorkFolder

Progress = Callable[[str], None]

VOLUME_SERVICE = "cinder-volume"
BACKUP_SERVICE = "cinder-backup"


class Cluster:
    """A running cluster; get one from :meth:`up` or :meth:`find`.

    The thread that uses it has joined the lab's network.

    Attributes:
        plans: of the nodes; a larger kind of cluster gives them more.
        nodes: the nodes by name.
        user: whom Cinder's services on the nodes run as. For root they do without
            cinder-rootwrap, which takes most of the time of a short command.
    """

    plans = CLUSTER

    def __init__(self, work: WorkFolder, sandbox: Sandbox, user: str = USER) -> None:
        self.work = work
        self.sandbox = sandbox
        self.user = user
        self.nodes = {plan.name: Node(sandbox, work, plan) for plan in self.plans}
        #: The processes of cinder-volume that this object started, with their files.
        self._volume_services: dict[str, tuple[str, ...]] = {}

    @functools.cached_property
    def control(self) -> ControlPlane:
        """The daemons of the control plane."""
        return ControlPlane(self.sandbox, self.work)

    @property
    def daemons(self) -> dict[str, Daemon]:
        """All that the control plane runs, by name."""
        return self.control.daemons

    @functools.cached_property
    def clients(self) -> Clients:
        """Cinder clients for the lab's users."""
        return Clients(self.work)

    @classmethod
    def up(cls, work: WorkFolder, progress: Progress, user: str = USER) -> Self:
        """Bring a cluster up; it ends with this process unless it is detached.

        Raises:
            LabError: a step failed; nothing of the cluster is left.
        """
        progress("making the namespaces and the networks")
        with coming_up(work) as sandbox:
            cluster = cls(work, sandbox, user)
            progress(f"booting the kernels of {', '.join(cluster.nodes)}")
            for node in cluster.nodes.values():
                node.boot()
            cluster._start_services(progress)
        work.save({"pid": sandbox.pid, "born": sandbox.born})
        return cluster

    @classmethod
    def find(cls, work: WorkFolder) -> Self | None:
        """Give the cluster that runs in this work folder, None where none does."""
        state = work.load()
        if state is None:
            return None
        sandbox = Sandbox(work, state["pid"], state["born"])
        if not sandbox.alive():
            work.forget()
            return None
        sandbox.join_network()
        return cls(work, sandbox)

    def down(self) -> None:
        """End the cluster; its logs stay in the work folder."""
        self.sandbox.close()
        self.work.forget()

    def _start_services(self, progress: Progress) -> None:
        pool = ThreadPoolExecutor()
        try:
            waits = [pool.submit(self._await, n, progress) for n in self.nodes.values()]
            control = pool.submit(
                start_control_plane, self.sandbox, self.work, progress
            )
            for wait in waits:
                wait.result()
            control.result()
        finally:
            # An abort does not wait for the rest, which ends with the sandbox.
            pool.shutdown(wait=False, cancel_futures=True)
        self._start_back_end(progress)
        progress("cinder-volume reports its back ends to the scheduler")

    def _start_back_end(self, progress: Progress) -> None:
        progress("starting cinder-volume on node storage")
        self.start_volume_service()
        self.wait_for_volume_service()

    @staticmethod
    def _await(node: Node, progress: Progress) -> None:
        node.wait_until_up()
        progress(f"node {node.name} is up")

    def boot_again(self, name: str) -> None:
        """Boot a node whose power was cut."""
        self.nodes[name].boot_anew()

    @contextlib.contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Unplug a node from the management network in the block; iSCSI goes on."""
        management = networks()[0]
        port = management.port(self.nodes[name].plan)
        # Not by taking the port down, after which its kernel gives it up for good.
        self._link(port, "nomaster")
        try:
            yield
        finally:
            self._link(port, "master", management.name)

    def _link(self, port: str, *change: str) -> None:
        self.sandbox.run(
            ["ip", "link", "set", port, *change],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            log=self.work.log("network"),
            timeout=20,
        )

    def mend(self) -> None:
        """Boot the nodes that were lost anew, and start again what ran on them."""
        for name, node in self.nodes.items():
            if node.answers():
                continue
            node.boot_anew()
            if name == STORAGE_NODE.name:
                self._start_volume_services_again()

    def _start_volume_services_again(self) -> None:
        for service, files in tuple(self._volume_services.items()):
            self.start_volume_service(service, *files)
            backend = service.removeprefix(VOLUME_SERVICE).lstrip("-") or BACKEND
            # The scheduler still lists the lost one for a while.
            self._wait_for_consumers(_queue(backend), 1, timeout=300)

    def start_volume_service(self, name: str = VOLUME_SERVICE, *files: str) -> None:
        """Start cinder-volume on the storage node.

        Args:
            name: of the process and its log; another than the usual one for a second
                process over the same back ends.
            files: of configuration, beside the usual one.
        """
        argv = [VOLUME_SERVICE]
        for file in (f"{ETC}/cinder.conf", *files):
            argv += ["--config-file", file]
        with self.nodes["storage"].session() as storage:
            storage("lab.guest.daemons", "prepare_cinder", self.user)
            storage("lab.guest.daemons", "start", name, argv, self.user)
        self._volume_services[name] = files

    def end_volume_service(self, name: str = VOLUME_SERVICE) -> None:
        """Let cinder-volume finish what it is at, and end it."""
        self.nodes["storage"].call("lab.guest.daemons", "end", name)
        self._volume_services.pop(name, None)

    def start_backend(self, backend: str, timeout: float = 300) -> None:
        """Start a cinder-volume for a back end alone, and wait until it serves.

        Raises:
            LabError: it does not; its log tells why.
        """
        service = f"{VOLUME_SERVICE}-{backend}"
        self.start_volume_service(service, settings_of(backend))
        self.wait_for_volume_service(timeout, service, backend)
        self._wait_for_consumers(_queue(backend), 1, timeout)

    def end_backend(self, backend: str) -> None:
        """End the cinder-volume that :meth:`start_backend` started."""
        self.end_volume_service(f"{VOLUME_SERVICE}-{backend}")

    def start_backup_service(self, node: str) -> None:
        """Start cinder-backup on a node, and wait until it takes requests.

        Raises:
            LabError: it does not.
        """
        argv = [BACKUP_SERVICE, "--config-file", f"{ETC}/cinder.conf"]
        with self.nodes[node].session() as session:
            session("lab.guest.daemons", "prepare_cinder", self.user)
            session("lab.guest.daemons", "start", BACKUP_SERVICE, argv, self.user)
        self._wait_for_consumers(f"{BACKUP_SERVICE}.{node}", 1, timeout=300)

    def wait_for_volume_services(self, number: int, timeout: float = 300) -> None:
        """Wait until as many processes take the requests of the back end.

        Raises:
            LabError: there are more or less of them after ``timeout`` seconds.
        """
        self._wait_for_consumers(_queue(BACKEND), number, timeout)

    def _wait_for_consumers(self, queue: str, number: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while (there := consumers(self.control.passwords, queue)) != number:
            if time.monotonic() > deadline:
                raise LabError(f"{there} and not {number} of {queue} take requests")
            time.sleep(0.5)

    def wait_for_volume_service(
        self, timeout: float = 300, name: str = VOLUME_SERVICE, backend: str = BACKEND
    ) -> None:
        """Wait until the scheduler knows what the back end can do.

        Raises:
            LogError: it does not come up; the log of cinder-volume tells why.
        """
        log = self.work.log(name)
        storage = self.nodes["storage"]
        deadline = time.monotonic() + timeout
        while not any(f"@{backend}#" in pool for pool in self.pools()):
            if time.monotonic() > deadline:
                raise LogError(f"{backend} did not come up in {timeout:.0f} s", log)
            if not storage.call("lab.guest.daemons", "alive", name):
                raise LogError(f"{name} ended", log)
            time.sleep(0.5)

    def pools(self) -> dict[str, dict[str, Any]]:
        """Give the pools that the scheduler knows, by name, with their capabilities."""
        found = self.clients.volume("admin").pools.list(detailed=True)
        return {pool.name: pool.to_dict()["capabilities"] for pool in found}

    def client(
        self, user: str, command: Sequence[str]
    ) -> tuple[list[str], dict[str, str]]:
        """Give the words and environment of a command that a user runs in the lab."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, **self.clients.openrc(user), "PATH": path}
        return self.sandbox.wrap(command), environment

    def run_client(self, user: str, command: str, timeout: float = 120) -> str:
        """Run a client's command as a user; give what it says.

        Raises:
            LabError: it failed, with its last words.
        """
        words, environment = self.client(user, shlex.split(command))
        done = subprocess.run(
            words,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise LabError(f"{command} failed: {done.stderr.strip()[-1000:]}")
        return done.stdout

    def check_kernels(self) -> None:
        """Raise where a kernel has reported a fault of its own.

        Raises:
            LabError: with the lines in question.
        """
        for node in self.nodes.values():
            if lines := node.kernel.trouble():
                shown = "\n".join(f"    | {line}" for line in lines)
                raise LabError(
                    f"the kernel of node {node.name} reports trouble:\n{shown}\n"
                    f"  the whole log: {node.kernel.console}"
                )


def _queue(backend: str) -> str:
    # The last that a service opens, and one that it opens once (cinder/service.py).
    node = STORAGE_NODE.name
    return f"{VOLUME_SERVICE}.{node}@{backend}.{node}"
