# SPDX-License-Identifier: Apache-2.0
"""Makes this process ready for runs: Cinder's options, its managers, the patches."""

import tempfile
import warnings
from types import SimpleNamespace
from typing import Any

warnings.filterwarnings("ignore", message="(?s).*Eventlet", category=DeprecationWarning)

from cinder import objects  # noqa: E402

objects.register_all()

from cinder import rpc  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from cinder.volume import configuration as volume_configuration  # noqa: E402
from cinder.volume import driver, manager, volume_utils  # noqa: E402
from cinder.volume.drivers import lvm  # noqa: E402
from cinder.volume.targets import lio  # noqa: E402
from oslo_config import cfg  # noqa: E402

from taikun_cinder import opts, targets  # noqa: E402
from taikun_cinder.cinder_db import api as db  # noqa: E402
from taikun_cinder.cinder_db import models  # noqa: E402
from taikun_cinder.targets.lio.target import LioTarget  # noqa: E402
from taikun_cinder.volume_groups import Group  # noqa: E402
from tests.contract.memory import MemoryKernel  # noqa: E402
from tests.simulate import backends, copies, patches, remote  # noqa: E402
from tests.unit.memory import InTreeTarget  # noqa: E402

#: What each back end is configured with.
_OPTIONS = {
    "target_helper": "lioadm",
    "volume_clear": "none",
    "target_ip_address": "192.0.2.11",
    "taikun_state_path": "/state",
    # The passes are operations of a run.
    "taikun_reconcile_interval": 0,
}

_SECTIONS = ("simulate-b1", "simulate-b2")

_secrets: list[patches.SecretsSeen] = []


def ready() -> patches.SecretsSeen:
    """Make the process ready, once; give who looks for secrets in its log."""
    if not _secrets:
        _configure()
        _make_managers()
        _secrets.append(patches.install())
        vars(manager)["volume_rpcapi"] = SimpleNamespace(VolumeAPI=remote.VolumeApi)
        vars(volume_utils).update(copies.ANSWERS)
        vars(lvm)["lvm"] = SimpleNamespace(LVM=copies.group)
    return _secrets[0]


def configure(**options: Any) -> None:
    """Set options of both back ends; a service goes by them from its next start on."""
    for section in _SECTIONS:
        for option, value in options.items():
            cfg.CONF.set_override(option, value, section)


def _configure() -> None:
    conf = cfg.CONF
    folder = tempfile.mkdtemp(prefix="simulate-")
    conf([], project="cinder", default_config_files=[])
    conf.set_override("connection", "sqlite://", "database")
    conf.set_override("backend_url", f"file://{folder}/locks", "coordination")
    conf.set_override("state_path", folder)
    conf.set_override("lock_path", folder, "oslo_concurrency")
    rpc.messaging.get_rpc_transport(conf, "fake:/")
    conf.set_override("transport_url", "fake:/")
    models.BASE.metadata.create_all(db.get_engine())
    rpc.init(conf)
    vars(lio)["LioAdm"] = InTreeTarget
    setattr(Group, "refresh", lambda self, name: None)  # noqa: B010
    vars(targets)["of"] = lambda configuration: LioTarget(MemoryKernel())


def _make_managers() -> None:
    for name, section in zip(("b1", "b2"), _SECTIONS, strict=True):
        conf = volume_configuration.Configuration(
            manager.volume_backend_opts, config_group=section
        )
        for options in (driver.volume_opts, driver.backup_opts, lvm.volume_opts):
            conf.append_config_values(options)
        conf.append_config_values(opts.BACKEND_OPTS)
        for option, value in {**_OPTIONS, "volume_group": f"group-{name}"}.items():
            cfg.CONF.set_override(option, value, section)
        made: Any = manager.VolumeManager(
            volume_driver="taikun_cinder.driver.MultiattachLVMDriver",
            service_name=section,
            host=f"node@{name}",
        )
        made._notify_about_volume_usage = lambda *args, **kwargs: None
        made.publish_service_capabilities = lambda *args: None
        made.message_api = SimpleNamespace(create=lambda *args, **kwargs: None)
        made.stats = {"pools": {}}
        copies.watch(made)
        backends.Backend.managers[name] = made
