# SPDX-License-Identifier: Apache-2.0
"""A target and a volume group that live in memory and behave like LIO and LVM."""

from cinder.volume.targets import fake

from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.targets.lio.plan import plan
from tests.contract import memory


class InTreeTarget(fake.FakeTarget):
    """The target that the parent's constructor makes, and nobody uses."""

    def __init__(self, *args, **kwargs):
        self.protocol = self.storage_protocol = "iSCSI"

    def extend_target(self, volume):
        pass


class MemoryTarget(memory.MemoryTarget):
    """A target in memory, asked for volumes instead of names."""

    def __init__(self):
        super().__init__()
        #: Initiators that the target fails to let in, as on a bad day.
        self.fails_for: set[str] = set()
        self._shared: dict[tuple[str, Initiator], memory.Session] = {}

    def ensure(self, name, desired, about=None, *, search=True):
        if desired is not None:
            self._prepare_to_fail(name, desired)
        return super().ensure(name, desired, about, search=search)

    def _prepare_to_fail(self, name, desired):
        known = self.kernel.read(name)
        for grant in desired.grants:
            new = grant.initiator not in known.acls
            if new and str(grant.initiator) in self.fails_for:
                self.kernel.fail_before(len(plan(known, desired).steps) - 1)

    def log_in(self, volume, connector, information):
        """Log in as os-brick does: the servers of one host share its session."""
        pair = information["auth_username"], information["auth_password"]
        name, initiator = name_of(volume), Initiator(connector["initiator"])
        session = self._shared.get((name, initiator))
        if session is None or not session.alive:
            session = self.kernel.login(name, initiator, Credentials(*pair))
        self._shared[name, initiator] = session
        return session.other(information["target_lun"])

    def acls_of(self, volume):
        """Give the initiators that may log in; None if there is no target at all."""
        observed = self.kernel.read(name_of(volume))
        if observed.target is None:
            return None
        return {str(initiator) for initiator in observed.acls}


def name_of(volume):
    """Give the name of a volume's target."""
    return f"iqn.2010-10.org.openstack:{volume['name']}"


class MemoryVolumeGroup:
    """A volume group of 100 GiB."""

    vg_name = "cinder-volumes"
    vg_size = 100.0
    vg_free_space = 90.0

    def __init__(self):
        self.volumes = set()
        #: What thick snapshots were made of.
        self.with_snapshot: set[str] = set()
        #: The new sizes of what was extended.
        self.extended: dict[str, str] = {}
        #: Those that somebody has open.
        self.opened = set()

    def update_volume_group_info(self):
        pass

    def get_volumes(self):
        return [{"name": name} for name in self.volumes]

    def get_volume(self, name):
        return {"name": name} if name in self.volumes else None

    def activate_lv(self, name, **kwargs):
        self.volumes.add(name)

    def lv_is_open(self, name):
        return name in self.opened

    def lv_has_snapshot(self, name):
        return name in self.with_snapshot

    def extend_volume(self, name, size):
        self.extended[name] = size

    def delete(self, name):
        self.volumes.remove(name)
