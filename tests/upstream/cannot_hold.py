# SPDX-License-Identifier: Apache-2.0
"""Cinder's tests that do not hold with this driver, each with the reason."""

_INITIATOR = (
    "its host is called 'INITIATOR', which LIO takes for no initiator: such a host is "
    "refused before anything is exported"
)
_SPECS = "it compares all vendor properties, and this driver has some of its own"
_COUNT = (
    "it counts the attachments of a volume that is in no database; this driver goes by "
    "the rows, under the volume's lock"
)
_COPY = (
    "it migrates a volume that is in no database; this driver sees by its row and its "
    "attachments that nobody has it"
)

#: The reasons by the test, as ``CLASS::NAME``.
CANNOT_HOLD = {
    "LVMVolumeDriverTestCase::test_retype_volume": (
        "its new type is a text; this driver reads the extra specs of the type"
    ),
    **{
        f"LVMVolumeDriverTestCase::test_lvm_{name}": _COPY
        for name in (
            "migrate_volume_proceed",
            "migrate_volume_proceed_with_thin",
            "migrate_volume_volume_copy_error",
            "volume_group_missing",
        )
    },
    "LVMISCSITestCase::test_multiattach_terminate_connection": _COUNT,
    "LVMISCSITestCase::"
    "test_multiattach_terminate_connection_with_differing_mountpoints": _COUNT,
    **{
        f"VolumeConnectionTestCase::test_initialize_connection_{name}": _INITIATOR
        for name in (
            "export_failure",
            "fetchqos",
            "qos_per_gb",
            "qos_per_gb_with_min_large",
            "qos_per_gb_with_min_small",
        )
    },
    **{
        f"VolumeCapabilitiesTestCase::test_get_capabilities{name}": _SPECS
        for name in ("", "_fail_override", "_prefix_error")
    },
}
