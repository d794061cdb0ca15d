# SPDX-License-Identifier: Apache-2.0
"""Options of Cinder's, for commands that hosts wait for.

Cinder has them in its volume manager, its drivers and its database, and each of these
takes a second or more to be imported. Here are the same ones. Where Cinder's own have
been registered before, those are used.
"""

import contextlib

from cinder.volume import configuration
from oslo_config import cfg

_VOLUME_DRIVER = cfg.StrOpt(
    "volume_driver", default="cinder.volume.drivers.lvm.LVMVolumeDriver"
)

#: Those of a back end's section.
BACKEND_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("volume_group", default="cinder-volumes"),
    cfg.StrOpt("lvm_conf_file", default="/etc/cinder/lvm.conf"),
    cfg.BoolOpt("lvm_suppress_fd_warnings", default=False),
    cfg.BoolOpt("lvm_share_target", default=False),
    cfg.StrOpt("target_prefix", default="iqn.2010-10.org.openstack:"),
    cfg.StrOpt("target_ip_address", default="$my_ip"),
    cfg.ListOpt(
        "target_secondary_ip_addresses",
        default=[],
        deprecated_name="iscsi_secondary_ip_addresses",
    ),
    cfg.PortOpt("target_port", default=3260),
    cfg.StrOpt(
        "target_helper",
        default="tgtadm",
        choices=[
            "tgtadm",
            "lioadm",
            "scstadmin",
            "iscsictl",
            "nvmet",
            "spdk-nvmeof",
            "fake",
        ],
    ),
    cfg.StrOpt(
        "target_protocol",
        default="iscsi",
        choices=["iscsi", "iser", "nvmet_rdma", "nvmet_tcp"],
    ),
    cfg.BoolOpt("report_discard_supported", default=False),
    cfg.BoolOpt("backup_use_temp_snapshot", default=False),
]

#: Of the whole service.
_NAMES = cfg.StrOpt("volume_name_template", default="volume-%s")

#: All of these.
ALL_OPTS = [_VOLUME_DRIVER, *BACKEND_OPTS, _NAMES]


def section(name: str) -> configuration.Configuration:
    """Give a back end's section of cinder.conf, which knows these options."""
    return configuration.Configuration(
        [_VOLUME_DRIVER, *BACKEND_OPTS], config_group=name
    )


def register() -> None:
    """Let the options be known that are not a back end's.

    What Cinder registers as it is imported must have been imported before.
    """
    with contextlib.suppress(cfg.DuplicateOptError):
        cfg.CONF.register_opt(_NAMES)
