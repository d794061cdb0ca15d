# SPDX-License-Identifier: Apache-2.0
"""A target and a volume group that live in memory and behave like LIO and LVM."""

import dataclasses
import threading

from cinder import exception
from cinder.volume.targets import iscsi


@dataclasses.dataclass
class Session:
    """A host's iSCSI session; what ends it is felt as an I/O error."""

    initiator: str
    alive: bool = True


@dataclasses.dataclass
class Export:
    """A target with its ACLs and the sessions of those who logged in."""

    acls: set[str] = dataclasses.field(default_factory=set)
    sessions: list[Session] = dataclasses.field(default_factory=list)

    def drop(self, initiator=None):
        for session in self.sessions:
            if initiator in (None, session.initiator):
                session.alive = False
        self.sessions = [session for session in self.sessions if session.alive]
        self.acls = self.acls - {initiator} if initiator else set()


class MemoryTarget(iscsi.ISCSITarget):
    """What cinder-rtstool and LIO do to exports, without either."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exports: dict[str, Export] = {}
        #: Initiators that the target fails to let in, as on a bad day.
        self.fails_for: set[str] = set()
        self._lock = threading.Lock()

    def login(self, volume, initiator):
        """Log in as a host does; LIO compares initiators in lower case."""
        export = self.exports[self._iqn(volume)]
        assert initiator.lower() in export.acls
        session = Session(initiator.lower())
        export.sessions.append(session)
        return session

    def acls(self, volume):
        """Give who may log in, and None if there is no target at all."""
        export = self.exports.get(self._iqn(volume))
        return None if export is None else export.acls

    def create_iscsi_target(self, name, tid, lun, path, chap_auth=None, **kwargs):
        with self._lock:
            self.exports.setdefault(name, Export())
        return 0

    def initialize_connection(self, volume, connector):
        if connector["initiator"] in self.fails_for:
            raise exception.ISCSITargetAttachFailed(volume_id=volume["id"])
        with self._lock:
            export = self._existing(volume, exception.ISCSITargetAttachFailed)
            export.acls.add(connector["initiator"].lower())
        return super().initialize_connection(volume, connector)

    def terminate_connection(self, volume, connector, **kwargs):
        if volume["provider_location"] is None:
            return
        with self._lock:
            export = self._existing(volume, exception.ISCSITargetDetachFailed)
            export.drop(connector["initiator"].lower())

    def remove_iscsi_target(self, tid, lun, vol_id, vol_name, **kwargs):
        with self._lock:
            self.exports.pop(f"{self.iscsi_target_prefix}{vol_name}").drop()

    def _existing(self, volume, error):
        if self._iqn(volume) not in self.exports:
            raise error(volume_id=volume["id"])
        return self.exports[self._iqn(volume)]

    def _iqn(self, volume):
        return f"{self.iscsi_target_prefix}{volume['name']}"

    def _get_target_and_lun(self, context, volume):
        return 0, 0

    def _get_iscsi_target(self, context, vol_id):
        return 0

    def _get_target(self, iqn):
        return iqn if iqn in self.exports else None


class MemoryVolumeGroup:
    """A volume group of 100 GiB."""

    vg_name = "cinder-volumes"
    vg_size = 100.0
    vg_free_space = 90.0

    def __init__(self):
        self.volumes = set()

    def update_volume_group_info(self):
        pass

    def get_volumes(self):
        return [{"name": name} for name in self.volumes]

    def get_volume(self, name):
        return {"name": name} if name in self.volumes else None

    def activate_lv(self, name, **kwargs):
        self.volumes.add(name)

    def lv_has_snapshot(self, name):
        return False

    def delete(self, name):
        self.volumes.remove(name)
