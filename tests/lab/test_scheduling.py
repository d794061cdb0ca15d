# SPDX-License-Identifier: Apache-2.0
"""The scheduler chooses the back ends that can, by capabilities and by our filter."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import attachments
from lab.cluster import Cluster
from lab.demo import BACKEND, USER
from lab.errors import LabError
from lab.plan import SECOND_GROUP
from lab.services.cinder_conf import KEPT_BACKEND, PATHS_BACKEND
from tests.lab import shared
from tests.lab.shared import Shared

pytestmark = pytest.mark.in_turn(4, of="file")


@pytest.fixture(scope="module")
def _kept_service(_the_cluster: Cluster) -> Iterator[None]:
    """Let the back end serve that is kept for multi-attach volumes."""
    _the_cluster.sandbox.join_network()
    _the_cluster.start_backend(KEPT_BACKEND)
    yield
    _the_cluster.sandbox.join_network()
    _the_cluster.end_backend(KEPT_BACKEND)


@pytest.fixture
def kept(_kept_service: None, cluster: Cluster) -> None:
    """That back end, when the scheduler has heard that it has room."""
    _wait_for(lambda: _pool(cluster, KEPT_BACKEND)["multiattach_volumes_left"], 1)


@contextlib.contextmanager
def _volume_type(cluster: Cluster, **specs: str) -> Iterator[str]:
    """Create a type with just these extra specs, and delete it behind the block."""
    admin = cluster.clients.volume("admin")
    made = admin.volume_types.create(f"type-{time.monotonic_ns()}")
    made.set_keys(specs)
    yield str(made.name)
    admin.volume_types.delete(made)


def _pool(cluster: Cluster, backend: str) -> dict[str, Any]:
    return _named_pool(cluster, backend)[1]


def _named_pool(cluster: Cluster, backend: str) -> tuple[str, dict[str, Any]]:
    """Give a back end's pool, which the scheduler may forget while it is busy."""
    deadline = time.monotonic() + 120
    while True:
        for name, can in cluster.pools().items():
            if f"@{backend}#" in name:
                return name, can
        assert time.monotonic() < deadline, f"there is no pool of {backend}"
        time.sleep(0.5)


def _wait_for(get: Callable[[], Any], wanted: Any, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while (found := get()) != wanted:
        assert time.monotonic() < deadline, f"{found} and not {wanted}"
        time.sleep(0.5)


def _place(cluster: Cluster, volume_type: str) -> str | None:
    """Create a volume and delete it; give the back end where it was, if any."""
    cinder, admin = cluster.clients.volume(USER), cluster.clients.volume("admin")
    made = cinder.volumes.create(1, volume_type=volume_type)
    try:
        attachments.wait_for_status(cinder, made.id, "available")
        host = getattr(admin.volumes.get(made.id), "os-vol-host-attr:host")
        return str(host).partition("@")[2].partition("#")[0]
    except LabError:
        return None
    finally:
        cinder.volumes.delete(made.id)
        attachments.wait_until_deleted(cinder, made.id)


def _said(cluster: Cluster) -> str:
    return cluster.work.log("cinder-scheduler").read_text()


@pytest.mark.usefixtures("kept")
def test_volumes_go_where_their_type_can_be_served(cluster: Cluster) -> None:
    here, there = _pool(cluster, BACKEND), _pool(cluster, KEPT_BACKEND)
    for pool in (here, there):
        for capability in (
            "multiattach",
            "read_only_enforced",
            "persistent_reservations",
        ):
            assert pool[capability] is True
    assert (here["hosts_per_volume"], there["hosts_per_volume"]) == ("infinity", 8)
    assert (here["multiattach_only"], there["multiattach_only"]) == (False, True)
    assert there["multiattach_volumes_left"] == 1

    multi = "<is> True"
    others = {BACKEND, PATHS_BACKEND}
    for specs, backends in (
        ({}, others),
        ({"multiattach": multi, "hosts_per_volume": ">= 9"}, others),
        ({"multiattach": multi, "multiattach_only": "<is> True"}, {KEPT_BACKEND}),
        ({"volume_backend_name": KEPT_BACKEND}, {None}),
        ({"multiattach": "<is> true"}, {None}),
        ({"multiattach": multi, "taikun:secondary_mode": "RO"}, {None}),
        ({"multiattach": multi, "persistent_reservations": "<is> False"}, {None}),
    ):
        with _volume_type(cluster, **specs) as volume_type:
            assert _place(cluster, volume_type) in backends, specs
    said = _said(cluster)
    for cause in (
        "it is kept for multi-attach volumes",
        "multiattach='<is> true' would make a volume that is not multi-attach",
        "taikun:secondary_mode='RO' is not one of rw, ro, deny",
    ):
        assert cause in said


@pytest.mark.usefixtures("kept")
def test_a_back_end_takes_no_more_multiattach_volumes_than_it_has_room_for(
    cluster: Cluster,
) -> None:
    def left() -> int:
        return int(_pool(cluster, KEPT_BACKEND)["multiattach_volumes_left"])

    with shared.volume_type(cluster, KEPT_BACKEND) as volume_type:
        cinder = cluster.clients.volume(USER)
        first = cinder.volumes.create(1, volume_type=volume_type)
        attachments.wait_for_status(cinder, first.id, "available")
        _wait_for(left, 0)
        assert _place(cluster, volume_type) is None
        assert "it has as many multi-attach volumes as it may" in _said(cluster)
        # The back end still serves the volume that it has.
        cinder.volumes.extend(first.id, 2)
        attachments.wait_for_status(cinder, first.id, "available")
        assert int(cinder.volumes.get(first.id).size) == 2
        cinder.volumes.delete(first.id)
        attachments.wait_until_deleted(cinder, first.id)
        _wait_for(left, 1)


def _manage(cluster: Cluster, name: str, volume_type: str) -> Any:
    """Take a new logical volume under management, and wait for what becomes of it."""
    cinder = cluster.clients.volume("admin")
    storage = cluster.nodes["storage"]
    storage.run(f"lvcreate --yes --wipesignatures n -L 1g -n {name} {SECOND_GROUP}")
    host, _can = _named_pool(cluster, KEPT_BACKEND)
    made = cinder.volumes.manage(host, {"source-name": name}, volume_type=volume_type)
    under_way = ("managing", "creating")
    _wait_for(lambda: cinder.volumes.get(made.id).status in under_way, False)
    return cinder.volumes.get(made.id)


@pytest.mark.usefixtures("kept")
def test_a_managed_volume_is_what_its_type_says_or_is_refused(cluster: Cluster) -> None:
    admin = cluster.clients.volume("admin")
    with _volume_type(
        cluster, multiattach="<is> true", volume_backend_name=KEPT_BACKEND
    ) as volume_type:
        found = _manage(cluster, "refused", volume_type)
        assert found.status == "error"  # Cinder turns error_managing into this
        assert f"for volume {found.id} of type {volume_type}: multiattach" in _said(
            cluster
        )
        admin.volumes.delete(found.id)
        attachments.wait_until_deleted(admin, found.id)
    with shared.volume_type(cluster, KEPT_BACKEND) as volume_type:
        found = _manage(cluster, "taken", volume_type)
        assert (found.status, found.multiattach) == ("available", True)
        volume = Shared(cluster, found.id)
        hosts = [volume.attach("compute1"), volume.attach("compute2")]
        hosts[0].write(1, "by the first")
        assert hosts[1].read(1) == "by the first"
        for host in hosts:
            volume.detach(host)
        attachments.wait_for_status(admin, found.id, "available")
        admin.volumes.delete(found.id)
        attachments.wait_until_deleted(admin, found.id)
    cluster.nodes["storage"].run(f"lvremove --yes {SECOND_GROUP}/refused")


@pytest.mark.usefixtures("kept")
def test_a_volume_is_not_retyped_to_what_no_back_end_does(cluster: Cluster) -> None:
    cinder = cluster.clients.volume(USER)
    with shared.volume(cluster) as volume:
        before = cinder.volumes.get(volume.id).volume_type
        for specs in (
            {"multiattach": "<is> true"},
            {"multiattach": "<is> True", "taikun:max_hosts": "many"},
            # The volume would have to move, and may not.
            {"multiattach": "<is> True", "volume_backend_name": KEPT_BACKEND},
        ):
            with _volume_type(cluster, **specs) as volume_type:
                cinder.volumes.retype(volume.id, volume_type, "never")
                found = attachments.wait_for_status(cinder, volume.id, "available")
                assert found.volume_type == before, specs
        assert "taikun:max_hosts='many' is not a number from 0" in _said(cluster)
