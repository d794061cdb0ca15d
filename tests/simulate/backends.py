# SPDX-License-Identifier: Apache-2.0
"""A back end's cinder-volume: Cinder's real manager, and the real driver."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from oslo_concurrency import processutils
from oslo_db import exception as db_exception

from taikun_cinder import targets
from taikun_cinder.driver import MultiattachLVMDriver
from tests.simulate.actors import Process
from tests.unit.memory import MemoryVolumeGroup

if TYPE_CHECKING:
    from tests.simulate.world import World

#: How long the driver looks for the row of what it has answered, in seconds.
_WATCHED = 61.0


#: What is on a logical volume: which volume's data, and how often it was written
#: since; None for nothing that can be used.
Content = tuple[str, int] | None


class SimVolumeGroup(MemoryVolumeGroup):
    """A volume group; each of LVM's commands may fail.

    Attributes:
        contents: what is on its logical volumes, by their names.
    """

    def __init__(self, world: "World", name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._world, self.vg_name = world, name
        self.contents: dict[str, Content] = {}

    def path(self, name: str) -> str:
        """Give the path of a logical volume."""
        return f"/dev/{self.vg_name}/{name}"

    def put(self, name: str, content: Content) -> None:
        """Let there be a logical volume."""
        self.volumes.add(name)
        self.contents[name] = content

    def create_volume(self, name: str, *_size_and_kind: Any) -> None:
        self._run("create", name not in self.volumes)
        self.put(name, None)
        self._world.kernel.activate(self.path(name))

    def rename_volume(self, name: str, new_name: str) -> None:
        self._run("rename", name in self.volumes and new_name not in self.volumes)
        self.volumes.remove(name)
        self.put(new_name, self.contents.pop(name))
        self._world.kernel.rename(self.path(name), self.path(new_name))

    def activate_lv(self, name: str, **kwargs: Any) -> None:
        self._run("activate", name in self.volumes)
        self._world.kernel.activate(self.path(name))

    def lv_is_open(self, name: str) -> bool:
        return self._world.kernel.is_open(self.path(name))

    def delete(self, name: str) -> None:
        self._run("remove", name in self.volumes and not self.lv_is_open(name))
        super().delete(name)  # type: ignore[no-untyped-call]
        self.contents.pop(name)
        self._world.kernel.deactivate(self.path(name))

    def _run(self, what: str, is_possible: bool) -> None:
        """Run a command of LVM's.

        Raises:
            ProcessExecutionError: it fails.
        """
        if self._world.scheduler.step(f"lvm: {what}", ("fails",)) or not is_possible:
            raise processutils.ProcessExecutionError(cmd=what)


class Request:
    """A request to the service.

    Attributes:
        process: that serves it; None as long as it waits for one.
        done: whether it was served.
        given_up: whether nobody waits for the answer any more.
        ended: when it did something last, by the run's clock.
    """

    def __init__(
        self, what: str, work: Callable[[Any], Any], now: Callable[[], float]
    ) -> None:
        self.what, self._work, self._now = what, work, now
        self.process: Process | None = None
        self.done = self.given_up = False
        self.answer: Any = None
        self.ended = math.inf
        self.error: Exception | None = None

    def serve(self, manager: Any) -> None:
        """Do it; an error is the answer, too."""
        try:
            self.answer = self._work(manager)
        except Exception as error:
            self.error = error
        self.done = True

    @property
    def is_pending(self) -> bool:
        """Whether it may still do something."""
        if self.process is None:
            return not self.given_up
        return not (self.done or self.process.dead)

    @property
    def is_young(self) -> bool:
        """Whether what it did may not be in the rows yet."""
        return self.done and self._now() - self.ended < _WATCHED

    @property
    def is_lost(self) -> bool:
        """Whether nobody knows what it did."""
        if self.process is None:
            return False
        return self.given_up or not self.done or self.error is not None


class Backend:
    """A back end, and the process of its service.

    Attributes:
        host: its name in the database.
        process: the one that runs, or ran last.
        passes: how many passes of its reconcile have begun.
        under_way: how many of those that were asked for have not ended.
    """

    #: The managers, by back end. They hold nothing that a run leaves behind.
    managers: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str, world: "World") -> None:
        self.name, self._world = name, world
        self.manager = self.managers[name]
        self.manager.db = world.database.api
        self.host = f"node@{name}"
        self.manager.host = self.host
        #: All names that it had.
        self.hosts = [self.host]
        self.process = Process(name, node=True)
        self.process.dead = True
        self.group = SimVolumeGroup(world, f"group-{name}")
        self.queue: list[Request] = []
        self.is_ready = False
        self.passes = self.under_way = 0
        world.database.add_service(self.host, name)

    def rename(self) -> None:
        """Give it another name, as with another backend_host; it is not running."""
        self.host = f"node{len(self.hosts)}@{self.name}"
        self.manager.host = self.host
        self.hosts.append(self.host)
        self.queue.clear()  # what waits there waits for the former name
        self._world.database.add_service(self.host, self.host)

    @property
    def driver(self) -> MultiattachLVMDriver:
        """The driver."""
        found: MultiattachLVMDriver = self.manager.driver
        return found

    @property
    def is_up(self) -> bool:
        """Whether the service runs."""
        return not self.process.dead

    def start(self) -> None:
        """Start the service, as its init system does; called by an actor."""
        self.process, self.is_ready = Process(self.name, node=True), False
        first = "" if self._world.scheduler.current else self.name
        self._world.scheduler.spawn(
            f"starts {self.name}", self.process, self._start, name=first
        )

    def _start(self) -> None:
        target = self._world.target()
        vars(targets)["of"] = lambda configuration: target
        driver: Any = self.driver
        driver.__init__(configuration=driver.configuration, host=self.host)
        driver.vg = self.group
        driver._exports._clock = lambda: self._world.scheduler.now
        self._export_again()
        self.passes += 1
        driver.set_initialized()
        self.is_ready = True
        waiting, self.queue = self.queue, []
        for request in waiting:
            if not request.given_up:
                self._serve(request)

    def _export_again(self) -> None:
        """Do what manager._init_host does with volumes that are in use."""
        for row in list(self._world.database.volumes.values()):
            own = str(row["host"]).partition("#")[0] == self.host
            if own and not row["deleted"] and row["status"] == "in-use":
                volume = self._world.database.seen(row["id"])
                volume.update(self.driver.ensure_export(None, volume))
                try:
                    volume.save()
                except db_exception.DBError:
                    continue

    def ask(self, request: Request) -> None:
        """Ask the service for something; it hears of it when it runs."""
        if self.is_up and self.is_ready:
            self._serve(request)
        else:
            self.queue.append(request)

    def _serve(self, request: Request) -> None:
        request.process = self.process

        def serve() -> None:
            try:
                request.serve(self.manager)
            finally:
                request.ended = self._world.scheduler.now
                self._world.expected.touch()

        self._world.scheduler.spawn(request.what, self.process, serve)
