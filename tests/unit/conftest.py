# SPDX-License-Identifier: Apache-2.0
"""Cinder's configuration, database and locks, as real as is cheap."""

import itertools
import os
import threading
import warnings
from pathlib import Path

import pytest

warnings.filterwarnings("ignore", message="(?s).*Eventlet", category=DeprecationWarning)

from cinder import objects  # noqa: E402

# As cinder-volume does first of all: Cinder's modules name its objects as they load.
objects.register_all()

from cinder import context, coordination, rpc  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from cinder.volume import configuration as volume_configuration  # noqa: E402
from cinder.volume import driver, manager  # noqa: E402
from cinder.volume.drivers import lvm  # noqa: E402
from cinder.volume.targets import lio  # noqa: E402
from oslo_config import cfg  # noqa: E402

from lab.guest.sqlite import (  # noqa: E402
    keep_connections,
    let_transactions_queue,
)
from taikun_cinder import (  # noqa: E402
    opts,
    reconcile,
    state_volume,
    targets,
    volume_groups,
)
from taikun_cinder.access.model import Portal  # noqa: E402
from taikun_cinder.cinder_db import api as db  # noqa: E402
from taikun_cinder.cinder_db import models  # noqa: E402
from taikun_cinder.driver import MultiattachLVMDriver  # noqa: E402
from taikun_cinder.network import Network  # noqa: E402
from taikun_cinder.node import Node  # noqa: E402
from taikun_cinder.targets.lio import start  # noqa: E402
from taikun_cinder.targets.lio.readiness import MODULES  # noqa: E402
from taikun_cinder.volume_groups import Group  # noqa: E402
from tests.unit.cloud import Cloud  # noqa: E402
from tests.unit.memory import InTreeTarget, MemoryTarget, MemoryVolumeGroup  # noqa: E402

_sections = (f"lvm-{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def _threads_end():
    """See that no thread of a driver outlives its test and works in the next one."""
    before = threading.enumerate()
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not [thread.name for thread in left if thread.name.startswith("taikun-")]


@pytest.fixture(scope="session")
def cinder(tmp_path_factory):
    """Cinder with a database in a file, so that threads share it."""
    folder = tmp_path_factory.mktemp("cinder")
    conf = cfg.CONF
    conf([], project="cinder", default_config_files=[])
    conf.set_override("connection", f"sqlite:///{folder}/cinder.sqlite", "database")
    conf.set_override("sqlite_synchronous", False, "database")
    conf.set_override("backend_url", f"file://{folder}/locks", "coordination")
    conf.set_override("state_path", str(folder))
    conf.set_override("lock_path", str(folder), "oslo_concurrency")
    rpc.messaging.get_rpc_transport(conf, "fake:/")  # registers the option
    conf.set_override("transport_url", "fake:/")
    let_transactions_queue(db.get_engine())
    keep_connections(db.get_engine())
    models.BASE.metadata.create_all(db.get_engine())
    rpc.init(conf)
    coordination.COORDINATOR.start()
    yield conf
    coordination.COORDINATOR.stop()


@pytest.fixture(scope="session")
def volume_type(cinder):
    new = objects.VolumeType(
        context.get_admin_context(),
        name="shared",
        description="",
        is_public=True,
        extra_specs={"multiattach": "<is> True"},
        projects=[],
    )
    new.create()
    return new


@pytest.fixture
def configure(cinder, tmp_path):
    """Return a function that writes a back end's section as cinder.conf would."""

    def section(**options):
        name = next(_sections)
        conf = volume_configuration.Configuration(
            manager.volume_backend_opts, config_group=name
        )
        conf.append_config_values(driver.volume_opts)
        conf.append_config_values(driver.backup_opts)
        conf.append_config_values(lvm.volume_opts)
        conf.append_config_values(opts.BACKEND_OPTS)
        chosen = {"target_helper": "lioadm", "volume_clear": "none"} | options
        chosen.setdefault("target_ip_address", "192.0.2.11")
        # A node's own: what another test left is no orphan of this one's.
        chosen.setdefault("taikun_state_path", str(tmp_path / "taikun_cinder"))
        for option, value in chosen.items():
            cinder.set_override(option, value, name)
        return conf

    return section


@pytest.fixture
def mount_state_volume(tmp_path, monkeypatch):
    """Return a function that lets the test's folder be on a logical volume."""
    devices = tmp_path / "sys-dev-block"

    def mount(name="cinder--volumes-state", uuid="LVM-group-volume"):
        number = tmp_path.stat().st_dev
        told = devices / f"{os.major(number)}:{os.minor(number)}" / "dm"
        told.mkdir(parents=True, exist_ok=True)
        (told / "name").write_text(f"{name}\n")
        (told / "uuid").write_text(f"{uuid}\n")

    monkeypatch.setattr(state_volume, "_DEVICES", devices)
    monkeypatch.setattr(state_volume, "_ROOT", Path("/proc"))
    return mount


@pytest.fixture
def share(monkeypatch):
    """Return a function that lets nodes share a volume group, as LVM tells."""

    def share(group):
        rows = [[group.folder.name, "", "dlm", "/dev/sdb"]]
        monkeypatch.setattr(volume_groups, "_rows", lambda: rows)
        monkeypatch.setattr(volume_groups, "_LVMLOCKD", Path("/"))

    return share


class ImitatedNetwork(Network):
    """A network of addresses that are the node's, unless they are said to be away.

    Attributes:
        away: addresses of other nodes.
        taken: the portals, as text, where somebody listens.
    """

    def __init__(self):
        self.away: set[str] = set()
        self.taken: set[str] = set()

    def has(self, address):
        return address not in self.away

    def is_taken(self, address, port):
        return str(Portal(address, port)) in self.taken


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Give a node whose kernel has all that LIO needs."""
    # There is no privileged process here; test_start of targets/lio has one.
    monkeypatch.setattr(start, "problems", lambda ports, **named: iter(()))
    node = Node(
        tmp_path / "proc",
        tmp_path / "sys",
        tmp_path / "modules",
        tmp_path / "root",
        ImitatedNetwork(),
    )
    osrelease = node.proc / "sys/kernel/osrelease"
    osrelease.parent.mkdir(parents=True)
    osrelease.write_text("6.12.1-lab\n")
    (node.proc / "mounts").write_text(
        "sysfs /sys sysfs rw 0 0\nconfigfs /sys/kernel/config configfs rw 0 0\n"
    )
    for module in MODULES:
        (node.sys / "module" / module).mkdir(parents=True)
    return node


@pytest.fixture
def lvm_command(tmp_path, monkeypatch):
    """Commands like LVM's; they find a volume group by the lvm.conf that is given."""
    programs = {
        "sudo": 'shift 2; exec "$@"',
        "lvm": 'echo "  LVM version:     2.03.31(2) (2025-02-27)"',
        "vgs": (
            f'[ "$LVM_SYSTEM_DIR" = {tmp_path} ] || exit 0\n'
            'for last; do :; done; case "$last" in\n'
            "  --nosuffix|cinder-volumes) echo '  cinder-volumes:10.0:5.0:2:uuid' ;;\n"
            "  *) exit 5 ;;\n"
            "esac"
        ),
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "lvm.conf").touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path / "lvm.conf"


@pytest.fixture
def make_driver(configure, node, monkeypatch):
    """Return a function that starts a driver over memory instead of LIO and LVM."""
    monkeypatch.setattr(lio, "LioAdm", InTreeTarget)
    monkeypatch.setattr(Group, "refresh", lambda self, name: None)
    target = MemoryTarget()
    monkeypatch.setattr(targets, "of", lambda configuration: target)
    monkeypatch.setattr(MultiattachLVMDriver, "node", node)

    made = []

    def make(**options):
        made.append(
            MultiattachLVMDriver(
                MemoryVolumeGroup(), configuration=configure(**options)
            )
        )
        return made[-1]

    yield make
    for started in made:
        started._reconcile.stop()
        started._monitor.stop()


@pytest.fixture
def cloud(configure, node, volume_type, monkeypatch, request):
    """A cinder-volume with this driver, and hosts that attach by it.

    A test's marker ``options`` has the options of its back end.
    """
    marker = request.node.get_closest_marker("options")
    # One pass at the start, and those that a test makes: the brake counts passes.
    options = {"taikun_reconcile_interval": 0} | (marker.kwargs if marker else {})
    monkeypatch.setattr(lio, "LioAdm", InTreeTarget)
    monkeypatch.setattr(Group, "refresh", lambda self, name: None)
    target = MemoryTarget()
    monkeypatch.setattr(targets, "of", lambda configuration: target)
    monkeypatch.setattr(MultiattachLVMDriver, "node", node)
    monkeypatch.setattr(reconcile, "_PATIENCE", float("inf"))
    cloud = Cloud(configure(**options).config_group, volume_type)
    yield cloud
    cloud.end_driver()


@pytest.fixture
def log(caplog):
    """The log of the driver, as text."""
    caplog.set_level("INFO", logger="taikun_cinder")
    return caplog


@pytest.fixture
def meanwhile(cloud, monkeypatch):
    """Return a function that does something while the next attach waits."""

    def meanwhile(call):
        exports, me = cloud.driver._exports, threading.get_ident()
        locked = exports.locked

        def wait(volume):
            if threading.get_ident() != me:
                return locked(volume)  # the driver's own threads take the lock, too
            monkeypatch.setattr(exports, "locked", locked)
            call()
            return locked(volume)

        monkeypatch.setattr(exports, "locked", wait)

    return meanwhile


@pytest.fixture
def goes_after(cloud, monkeypatch):
    """Return a function that deletes a row just after the next attach was answered."""

    def goes_after(volume, attached):
        let_in = cloud.driver.initialize_connection

        def answer(*arguments):
            monkeypatch.setattr(cloud.driver, "initialize_connection", let_in)
            answered = let_in(*arguments)
            cloud.forget(volume, attached)
            return answered

        monkeypatch.setattr(cloud.driver, "initialize_connection", answer)

    return goes_after
