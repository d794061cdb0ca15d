# SPDX-License-Identifier: Apache-2.0
"""Which of tempest's tests run, which cannot pass, and which skip themselves."""

#: What runs, as regular expressions.
SELECTED = (r"^tempest\.api\.volume", r"^cinder_tempest_plugin\.")

#: What runs with Nova: the tests of servers and their volumes.
SELECTED_WITH_NOVA = (
    r"^tempest\.api\.compute\.volumes",
    r"^tempest\.api\.compute\.admin\.test_volume",
)

_NO_SERVER = "it needs a server, and the cluster has no Nova"

_UNMANAGED = (
    "it ends with a snapshot that Cinder manages no more, and waits for the deletion "
    "of its volume, which LVM refuses as long as there is a snapshot"
)

#: The reasons of those that fail, by the test. They fail with the in-tree driver, too.
CANNOT_PASS: dict[str, str] = {
    f"cinder_tempest_plugin.rbac.v3.test_snapshots.{name}.test_manage_snapshot": (
        _UNMANAGED
    )
    for name in ("ProjectMemberTests", "ProjectReaderTests")
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
    "^Skipped until bug: ": "tempest itself waits for that bug to be resolved",
}
