# SPDX-License-Identifier: Apache-2.0
"""Restores exports as ``taikun-cinder restore`` does, in a process with a back end."""

from cinder import coordination
from cinder.volume import configuration
from cinder.volume.drivers import lvm

from lab.guest.volume_settings import BACKEND, RECORDS
from taikun_cinder import volume_groups
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.restore import Restore
from taikun_cinder.records import Records
from taikun_cinder.targets.lio.target import LioTarget


def restore() -> str:
    """Restore all exports of the node's records; give what it said."""
    said: list[str] = []
    section = configuration.Configuration(lvm.volume_opts, BACKEND)
    group, records = volume_groups.Group.of(section), Records(RECORDS)
    here = Backend(BACKEND, section, group, LioTarget, records)
    own = coordination.Coordinator(prefix="cinder-")
    assert Restore(said.append, own).run(records, [here]), said
    return "\n".join(said)
