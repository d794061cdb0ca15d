# SPDX-License-Identifier: Apache-2.0
"""The control plane as a whole: everything started, with as much overlap as can be."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from lab.sandbox import Sandbox
from lab.services import cinder, cinder_conf, glance, keystone, mariadb, rabbitmq
from lab.services.accounts import (
    Passwords,
    load_passwords,
    make_passwords,
    write_openrc,
)
from lab.services.files import Settings
from lab.workdir import WorkFolder

Progress = Callable[[str], object]


class ControlPlane:
    """The daemons of a lab, by name in :attr:`daemons`.

    Args:
        sandbox: the lab's namespaces.
        work: the lab's folder, in which :func:`start_control_plane` was run: by this
            process or by an earlier one.
        passwords: everybody's password; by default those kept in the folder.
    """

    def __init__(
        self, sandbox: Sandbox, work: WorkFolder, passwords: Passwords | None = None
    ) -> None:
        self._sandbox = sandbox
        self._work = work
        self.passwords = passwords or load_passwords(work)
        daemons = (
            mariadb.daemon(sandbox, work),
            rabbitmq.daemon(sandbox, work),
            keystone.daemon(sandbox, work),
            cinder.api(sandbox, work),
            cinder.scheduler(sandbox, work, self.passwords),
        )
        self.daemons = {daemon.name: daemon for daemon in daemons}
        self._images = glance.daemon(sandbox, work)

    def start_image_service(self) -> None:
        """Start Glance, which a cluster comes up without."""
        glance.make_schema(self._sandbox, self._work)
        self._images.start()

    def end_image_service(self) -> None:
        """End what :meth:`start_image_service` started."""
        self._images.stop()

    def restart(self, *names: str) -> None:
        """Stop these daemons and start them again, one after the other.

        The calling thread must have joined the lab's network.
        """
        for name in names:
            self.daemons[name].restart()

    def settings(self) -> Settings:
        """Give Cinder's configuration as it is in ``etc/cinder/cinder.conf``."""
        return cinder_conf.load(self._work)

    def configure(self, settings: Settings) -> None:
        """Write Cinder's configuration; restart the services that it is meant for."""
        cinder_conf.save(self._work, settings)

    def start(self, progress: Progress) -> None:
        """Start everything for the first time; see :func:`start_control_plane`."""
        Startup(self, self._sandbox, self._work, progress).run()


class Startup:
    """One start of the control plane: its steps, and which waits for which."""

    def __init__(
        self,
        plane: ControlPlane,
        sandbox: Sandbox,
        work: WorkFolder,
        progress: Progress,
    ) -> None:
        self._plane = plane
        self._sandbox = sandbox
        self._work = work
        self._progress = progress
        self._telling = threading.Lock()
        # The threads join the lab's network, so that the caller need not.
        self._pool = ThreadPoolExecutor(
            max_workers=8,
            thread_name_prefix="control-plane",
            initializer=sandbox.join_network,
        )

    def run(self) -> None:
        """Take all steps and wait for them.

        When one fails its error is raised at once. The others are left to themselves:
        they end when the caller closes the sandbox.
        """
        try:
            for step in self._steps():
                step.result()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _steps(self) -> tuple["Future[None]", ...]:
        """Begin each step; the order is that in which the causes of failures lie."""
        sandbox, work, start = self._sandbox, self._work, self._start
        database = self._step(
            "mariadb",
            lambda: mariadb.install(sandbox, work, self._plane.passwords),
            start("mariadb"),
        )
        # The schema is the longest chain; Keystone and the rest fill the gaps.
        schema = self._step(
            "cinder's schema", lambda: cinder.make_schema(sandbox, work), after=database
        )
        messages = self._step("rabbitmq", start("rabbitmq"))
        identity = self._step(
            "keystone", lambda: keystone.seed(sandbox, work), start("keystone")
        )
        # The API pins its RPC versions by what it reads in the database at its start.
        api = self._step("cinder-api", start("cinder-api"), after=schema)
        scheduler = self._step(
            "cinder-scheduler", messages.result, start("cinder-scheduler"), after=schema
        )
        return database, messages, identity, schema, api, scheduler

    def _start(self, name: str) -> Callable[[], None]:
        return self._plane.daemons[name].start

    def _step(
        self,
        name: str,
        *actions: Callable[[], None],
        after: "Future[None] | None" = None,
    ) -> "Future[None]":
        def take() -> None:
            if after is not None:
                after.result()
            begin = time.monotonic()
            for action in actions:
                action()
            took = time.monotonic() - begin
            with self._telling:
                self._progress(f"{name}: ready after {took:.1f} s")

        return self._pool.submit(take)


def start_control_plane(
    sandbox: Sandbox, work: WorkFolder, progress: Progress = print
) -> ControlPlane:
    """Configure and start the control plane in a lab whose networks are up.

    A later process gets hold of it again with ``ControlPlane(sandbox, work)``.

    Args:
        sandbox: the lab's namespaces.
        work: the lab's folder, prepared and without a control plane.
        progress: told of each step that is done, from one thread at a time.

    Raises:
        LabError: a daemon did not start; the message has the last lines of its log.
    """
    passwords = make_passwords(work)
    write_openrc(work, passwords)
    rabbitmq.configure(work, passwords)
    keystone.configure(work)
    glance.configure(work, passwords)
    cinder_conf.write_files(work, passwords)
    plane = ControlPlane(sandbox, work, passwords)
    plane.start(progress)
    return plane
