# SPDX-License-Identifier: Apache-2.0
"""Which of tempest's tests run, which cannot pass, and which skip themselves."""

import re

#: What runs, as regular expressions.
SELECTED = (r"^tempest\.api\.volume", r"^cinder_tempest_plugin\.")

_PLUGIN = "cinder_tempest_plugin"
_INCREMENTAL = (
    f"{_PLUGIN}.api.volume.test_volume_backup.VolumesBackupsTest."
    "test_incremental_backup"
)

#: What runs with Nova: the tests of servers and their volumes.
SELECTED_WITH_NOVA = (
    r"^tempest\.api\.compute\.volumes",
    r"^tempest\.api\.compute\.admin\.test_volume",
    rf"^{re.escape(_INCREMENTAL)}",
)

_NO_SERVER = "it needs a server, and the cluster has no Nova"

_UNMANAGED = (
    "it ends with a snapshot that Cinder manages no more, and waits for the deletion "
    "of its volume, which LVM refuses as long as there is a snapshot"
)

_NOT_ASKED = "it boots a server, and does not ask whether there is a Nova"
_LOGS_IN = f"{_NOT_ASKED}; it logs in there, which needs a network"
_SECURITY_GROUP = f"{_NOT_ASKED}, nor for a Neutron, which has the security group"

#: The reasons of those that fail without Nova, by the test. They fail with the in-tree
#: driver, too. With Nova none may fail.
CANNOT_PASS: dict[str, str] = {
    f"{_PLUGIN}.rbac.v3.test_snapshots.ProjectMemberTests.test_manage_snapshot": (
        _UNMANAGED
    ),
    f"{_PLUGIN}.rbac.v3.test_snapshots.ProjectReaderTests.test_manage_snapshot": (
        _UNMANAGED
    ),
    _INCREMENTAL: _NOT_ASKED,
    f"{_PLUGIN}.scenario.test_volume_multiattach.VolumeMultiattachTests."
    "test_volume_multiattach_same_host_negative": _SECURITY_GROUP,
    f"{_PLUGIN}.scenario.test_volume_multiattach.VolumeMultiattachTests."
    "test_multiattach_data_integrity": _LOGS_IN,
    f"{_PLUGIN}.scenario.test_snapshots.SnapshotDataIntegrityTests."
    "test_snapshot_data_integrity": _LOGS_IN,
}

#: Why tests may skip themselves: the reason by what tempest says. Any other is a fault
#: of the lab's configuration.
MAY_SKIP: dict[str, str] = {
    "the compute service is not available": _NO_SERVER,
    "Nova is not available": _NO_SERVER,
    "^Cinder consistency group feature disabled": (
        "LVM cannot take snapshots of several volumes at one time"
    ),
    "^Volume replication feature disabled": "LVM has no replication",
    "^hw_scsi_model=virtio-scsi not set": (
        "it logs in to a server, and servers have no network"
    ),
    "^Swapping volumes is not supported": (
        "Nova leaves the swap of volumes to Cinder; tests/nova shows it"
    ),
    "^Barbican is required": "it needs a Barbican, and the cluster has none",
    "^Skipped until bug: ": "tempest itself waits for that bug to be resolved",
}
