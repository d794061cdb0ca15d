# SPDX-License-Identifier: Apache-2.0
"""cinder-volume in a container that is laid out as kolla-ansible's (laws 1, 3, 8)."""

import signal
import time
from collections.abc import Iterator

import pytest

from lab.attachments import Attached
from lab.cluster import VOLUME_SERVICE, Cluster
from lab.errors import CommandError
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.services.cinder_conf import BACKEND, ETC
from tests.lab import shared

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

_FILE = ("--config-file", f"{ETC}/cinder.conf")
_GUEST = "tests.lab.guest.container"

#: The last line of a start, good or bad.
_STARTED = "Driver initialization completed successfully"
_FAILED = "Failed to initialize driver"


class Container:
    """The container of cinder-volume on the storage node."""

    def __init__(self, cluster: Cluster) -> None:
        self._storage = cluster.nodes["storage"]
        self._log = cluster.work.log(VOLUME_SERVICE)
        self._since = 0
        self._holder: int | None = None

    def start(self, *lacks: str) -> str:
        """Start it, wait until its back end has or has not come up; give its log.

        Args:
            lacks: what it has not, see ``tests/lab/guest/container.py``.
        """
        self._since = len(self._log.read_text())
        argv = (VOLUME_SERVICE, *_FILE)
        self._holder = self._storage.call(_GUEST, "start", VOLUME_SERVICE, argv, lacks)
        deadline = time.monotonic() + 200
        while not any(word in self.said() for word in (_STARTED, _FAILED)):
            assert time.monotonic() < deadline, self.said()[-2000:]
            assert self._storage.call("lab.guest.daemons", "alive", VOLUME_SERVICE)
            time.sleep(0.5)
        return self.said()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, if it runs: as docker stop does, or docker kill by SIGKILL."""
        holder, self._holder = self._holder, None
        if holder is not None:
            self._storage.call(_GUEST, "stop", holder, number)

    def said(self) -> str:
        """Give what its log says since it was started."""
        return self._log.read_text()[self._since :]


@pytest.fixture
def container(cluster: Cluster) -> Iterator[Container]:
    """A container in the place of the usual service, which comes back behind it."""
    cluster.end_volume_service()
    cluster.wait_for_volume_services(0)
    container = Container(cluster)
    try:
        yield container
    finally:
        container.stop()
        cluster.wait_for_volume_services(0)
        cluster.start_volume_service()
        cluster.wait_for_volume_services(1)


def _reserve_for_ever(host: Attached) -> None:
    """Make a registration that outlives the target's power (APTPL), and end it."""
    key = "--param-sark=0xabc --param-aptpl"
    host.node.run(
        # LIO keeps one that it could not write down, so it may be there already.
        f"sg_persist --out --register-ignore {key} {host.path} && "
        f"sg_persist --out --clear --param-rk=0xabc {host.path}"
    )


def _volume_services(cluster: Cluster) -> int:
    """Count the processes of cinder-volume, also those of other tests' back ends."""
    processes = "tests.lab.guest.processes"
    return len(cluster.nodes["storage"].call(processes, "identities", "cinder-volume"))


def test_hosts_write_on_while_the_container_is_killed_and_started(
    cluster: Cluster, container: Container
) -> None:
    others = _volume_services(cluster)
    said = container.start()
    assert f"Back end [{BACKEND}] is not started" not in said
    # kolla lets its own group write to the folder above, and nothing else is said.
    assert f"Back end [{BACKEND}] has 1 thing(s)" in said
    assert "/var/lib/cinder can be changed by other users" in said
    with shared.volume(cluster) as volume:
        first = volume.attach("compute1")
        first.write(1, "from the first")
        _reserve_for_ever(first)
        with shared.writing(first, 100) as seen:
            container.stop(signal.SIGKILL)
            assert _volume_services(cluster) == others
            container.start()
            assert volume.initiators() == {shared.initiator("compute1")}
            second = volume.attach("compute2")
            assert second.read(1) == "from the first"
            container.stop()
            container.start()
            volume.detach(second)
            assert volume.initiators() == {shared.initiator("compute1")}
        assert seen["errors"] == []
        assert seen["longest"] < REPLACEMENT_TIMEOUT
        volume.detach(first)
        assert not volume.is_exported()
        assert not volume.is_open()


def test_a_container_gives_hosts_their_disks_back_after_a_reboot(
    cluster: Cluster, container: Container
) -> None:
    container.start()
    storage = cluster.nodes["storage"]
    with shared.volume(cluster) as volume:
        host = volume.attach("compute1")
        container.stop(signal.SIGKILL)
        storage.boot_anew()
        assert not volume.is_exported()
        restore = ("taikun-cinder", *_FILE, "restore")
        said = storage.call(_GUEST, "run", restore)
        assert f"volume {volume.id} is exported again" in said
        assert volume.initiators() == {shared.initiator("compute1")}
        container.start()
        volume.detach(host)
        assert not volume.is_exported()


def test_what_a_container_keeps_for_itself_is_warned_of(
    cluster: Cluster, container: Container
) -> None:
    folder = cluster.nodes["storage"].call(
        "tests.lab.guest.preflight", "lose_reservations"
    )
    said = container.start("state", "reservations")
    assert f"Back end [{BACKEND}] is not started" not in said
    state = "/var/lib/cinder/taikun_cinder"
    assert f"{state} (option taikun_state_path) is a part of this container" in said
    assert f"Mount a folder of the host there: --volume {state}:{state}" in said
    assert "Cinder's lock lioadm is there" in said
    # A volume with a name is not the node's folder.
    assert "/etc/target is a volume of this container" in said
    assert "/var/lib/docker/volumes/target_config/_data" in said
    assert "--opt device=/etc/target target_config" in said
    with shared.volume(cluster) as volume:
        host = volume.attach("compute1")
        with pytest.raises(CommandError):
            _reserve_for_ever(host)
        cluster.nodes["storage"].run(f"mkdir -p -m 700 {folder}")
        _reserve_for_ever(host)
        volume.detach(host)


def test_a_container_that_cannot_export_is_refused(container: Container) -> None:
    said = container.start("configfs")
    assert f"Back end [{BACKEND}] is not started, because 1 thing(s)" in said
    assert "configfs is mounted read-only at /sys/kernel/config" in said
    assert "--volume /sys/kernel/config:/sys/kernel/config:rw" in said
    container.stop()
    said = container.start("privileges")
    assert f"Back end [{BACKEND}] is not started, because" in said
    assert "run a container with --privileged" in said
