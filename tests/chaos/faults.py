# SPDX-License-Identifier: Apache-2.0
"""What is broken while hosts share volumes, and mended again."""

import contextlib
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from lab.cluster import VOLUME_SERVICE
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Node
from tests.chaos import disk_faults, earlier
from tests.chaos.book import FAULTS as LANE
from tests.chaos.book import Book
from tests.chaos.cluster import ChaosCluster

#: What is broken in its block.
_Broken = contextlib.AbstractContextManager[None]

#: How long a fault lasts, in seconds.
_LASTS = (1, 10)
#: Between two faults, in seconds: hosts are to come and go meanwhile.
_PAUSE = (4, 20)
#: How long after a fault that cuts hosts off their errors are excused, in seconds: they
#: log in again, and the kernel of a busy lab takes its time.
_AFTER = 30


class Nemesis:
    """Breaks one thing after the other.

    Args:
        cluster: where.
        book: of the run.
        seed: of what it does.
        names: of the faults to choose from, at least one.
    """

    def __init__(
        self, cluster: ChaosCluster, book: Book, seed: str, names: Sequence[str]
    ) -> None:
        self._cluster = cluster
        self._book = book
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._names = list(names)
        #: How often each was done.
        self.done: dict[str, int] = {}

    def live(self, stop: threading.Event) -> None:
        """Break things until the event is set; what is broken then is mended first."""
        self._cluster.sandbox.join_network()
        while not stop.wait(self._chance.uniform(*_PAUSE)):
            name = self._chance.choice(self._names)
            with self._book.during(LANE, name), FAULTS[name](self):
                stop.wait(self._chance.uniform(*_LASTS))
            self.done[name] = self.done.get(name, 0) + 1
            self._cluster.start_what_ended()

    @property
    def _storage(self) -> Node:
        return self._cluster.nodes["storage"]

    def _host(self) -> Node:
        names = sorted(self._cluster.nodes.keys() - {"storage"})
        return self._cluster.nodes[self._chance.choice(names)]

    @contextlib.contextmanager
    def _service_killed(self) -> Iterator[None]:
        self._end_service(signal.SIGKILL)
        yield
        self._cluster.start_volume_service()

    @contextlib.contextmanager
    def _service_restarted(self) -> Iterator[None]:
        self._end_service(signal.SIGTERM)
        yield
        self._cluster.start_volume_service()

    def _end_service(self, number: int) -> None:
        self._storage.call(
            "tests.chaos.guest.harm", "end_service", VOLUME_SERVICE, number
        )

    @contextlib.contextmanager
    def _privileged_killed(self) -> Iterator[None]:
        self._storage.call("tests.chaos.guest.harm", "kill_privileged")
        yield

    @contextlib.contextmanager
    def _clock_stepped(self) -> Iterator[None]:
        step = self._chance.choice((-3600, -60, 60, 3600))
        self._storage.call("tests.chaos.guest.harm", "step_clock", step)
        yield
        self._storage.call("tests.chaos.guest.harm", "step_clock", -step)

    @contextlib.contextmanager
    def _access_edited(self) -> Iterator[None]:
        """Take some host's access away by hand, which the reconcile gives back."""
        with self._book.excuse(None, "an edit by hand", _AFTER):
            self._storage.call(
                "tests.chaos.guest.harm", "remove_an_acl", self._chance.random()
            )
            yield
            self._storage.call("tests.lab.guest.operator", "call", "reconcile", "--yes")

    @contextlib.contextmanager
    def _host_cut_off(self) -> Iterator[None]:
        with self._cluster.cut_off(self._host().name):
            yield

    @contextlib.contextmanager
    def _host_lost(self) -> Iterator[None]:
        host = self._host()
        with self._book.excuse(host.name, "its power was cut", _AFTER):
            host.kernel.cut_power()
            # At once, or a worker's times could be taken by the clock of the last boot.
            self._book.lost(host)
            yield
            host.boot()
            host.wait_until_up()

    @contextlib.contextmanager
    def _storage_lost(self) -> Iterator[None]:
        with self._book.excuse(None, "the storage node's power was cut", _AFTER):
            self._storage.boot_anew()
            yield
            # What the node's boot does before cinder-volume.
            self._storage.call("lab.guest.daemons", "prepare_cinder")
            self._storage.call("tests.lab.guest.operator", "restore")
            self._cluster.start_storage_services()

    @contextlib.contextmanager
    def _storage_stalls(self) -> Iterator[None]:
        """Stop its kernel for less time than hosts wait for it."""
        with self._storage.kernel.stopped():
            threading.Event().wait(REPLACEMENT_TIMEOUT / 2)
        yield

    @contextlib.contextmanager
    def without(self, name: str, patience: float) -> Iterator[None]:
        """Stop a daemon of the control plane, and start it behind the block.

        Args:
            name: of the daemon.
            patience: how long it may take to end, in seconds; it is killed then.
        """
        self._cluster.daemons[name].stop(patience)
        try:
            yield
        finally:
            self._cluster.daemons[name].start()


def _daemon(name: str, patience: float = 0) -> Callable[["Nemesis"], _Broken]:
    return lambda nemesis: nemesis.without(name, patience)


#: Each fault by its name. Names and order decide what a seed does.
FAULTS: dict[str, Callable[[Nemesis], _Broken]] = {
    "cinder-volume killed": Nemesis._service_killed,
    "cinder-volume restarted": Nemesis._service_restarted,
    "privileged process killed": Nemesis._privileged_killed,
    "clock stepped": Nemesis._clock_stepped,
    "access edited by hand": Nemesis._access_edited,
    "host cut off from management": Nemesis._host_cut_off,
    "host's power cut": Nemesis._host_lost,
    "storage node's power cut": Nemesis._storage_lost,
    "storage node stalls": Nemesis._storage_stalls,
    # Killed, the lab's would forget what it had acknowledged: it flushes nothing.
    "MariaDB stopped": _daemon("mariadb", 30),
    "RabbitMQ killed": _daemon("rabbitmq"),
    "Keystone killed": _daemon("keystone"),
    "cinder-api killed": _daemon("cinder-api"),
    "slow disk": lambda one: disk_faults.slow(one._storage, one._chance),
    "suspended disk": lambda one: disk_faults.suspended(one._storage, one._chance),
    "hanging disk": lambda one: disk_faults.hanging(
        one._storage, one._chance, one._book
    ),
    "no room for volumes": lambda one: disk_faults.no_room(one._storage),
    "no room for records": lambda one: disk_faults.no_room_for_records(one._storage),
    "read-only records": lambda one: disk_faults.read_only_records(one._storage),
    "MariaDB from an earlier dump": lambda one: earlier.database(
        one._cluster, one._book
    ),
}
