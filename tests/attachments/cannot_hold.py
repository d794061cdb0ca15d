# SPDX-License-Identifier: Apache-2.0
"""Tests of the attachments API that do not hold, each with the reason."""

_HOST = "test_bad_input.py::test_a_wrong_update_is_refused[a connector without a host]"
_LONG = "test_bad_input.py::test_a_connector_that_no_row_can_keep_is_refused"
_WRONG = "bad_input.py::test_a_wrong_connector_leaves_the_other_hosts_as_they_are"

#: Faults of Cinder's API and manager themselves: these fail with every back end.
ANY_BACK_END: dict[str, str] = {
    "test_views.py::"
    "test_attachments_are_found_by_the_name_that_their_status_has_in_a_list": (
        "the filter is allowed by Cinder's resource_filters.json, but the column is "
        "called attach_status: nothing is found, and nothing is said"
    ),
    "test_who.py::test_a_reader_is_shown_no_password": (
        "Cinder has no policy for GET /attachments/ID, so whoever is in the project "
        "sees what its hosts log in with"
    ),
    _HOST: (
        "the lock of attachment_update is named by the connector's host: status 500 "
        "and KeyError"
    ),
    f"{_LONG}[a long host]": (
        "the lock of attachment_update is a file named by the connector's host: "
        "status 500, and OSError"
    ),
    "test_rules.py::test_no_multiattach_volume_is_encrypted": (
        "Cinder's API means to refuse the retype, and looks in the wrong place; the "
        "scheduler may refuse it later"
    ),
}

_ONE_PAIR = "all hosts of a volume log in with one pair, which outlives their detach"
_TAKEN_AWAY = (
    "the driver removes the export under a host that is attached when another host's "
    "attach fails, or its attachment ends by the older API: the detach of the host "
    "that was to stay fails with status 500"
)
_MODE = (
    "access_mode comes from the volume's admin metadata, and not from the attachment"
)
_NOBODY = "terminate_connection without a connector raises TypeError: status 500"
_GONE = "the second detach finds no target or ACL any more: status 500, and not 404"

#: What fails with Cinder's own LVM driver, and holds with this one.
IN_TREE: dict[str, str] = {
    f"test_{name}": reason
    for reason, names in {
        _ONE_PAIR: (
            "connection_info.py::test_no_two_hosts_share_a_password",
            "connection_info.py::test_no_host_is_told_anothers_password",
            *(
                "connection_info.py::"
                f"test_the_password_is_worth_nothing_after_the_detach[{kind}]"
                for kind in ("shared", "plain")
            ),
            "at_once.py::test_many_hosts_attach_and_detach_at_once",
            "at_once.py::test_many_hosts_say_who_they_are_at_once",
        ),
        _TAKEN_AWAY: (
            "volume_actions.py::test_os_detach_of_one_of_two_leaves_the_other",
            "volume_actions.py::test_a_detach_by_force_of_one_of_two_leaves_the_other",
            *(
                "update.py::"
                f"test_a_host_stays_detachable_after_another_ones_refusal[{fault}]"
                for fault in ("no name", "no text")
            ),
            f"{_WRONG}[a long initiator]",
        ),
        _MODE: (
            "create.py::test_the_answer_says_what_the_host_may_do[ro]",
            "create.py::test_a_mode_in_the_connector_counts_if_no_other_was_given",
            "create.py::"
            "test_the_mode_of_the_attachment_goes_before_that_of_the_connector",
        ),
        _NOBODY: (
            "volume_actions.py::test_a_detach_by_force_needs_no_connector[shared]",
            "volume_actions.py::test_a_detach_by_force_needs_no_connector[plain]",
        ),
        _GONE: (
            "at_once.py::test_one_attachment_is_deleted_many_times_at_once[shared]",
            "at_once.py::test_one_attachment_is_deleted_many_times_at_once[plain]",
        ),
        "an initiator that LIO refuses is answered with status 500, and not 400": [
            f"{_LONG.removeprefix('test_')}[a long initiator]"
        ],
        "the manager writes the mountpoint when the driver has let the host in, and "
        "the column has 255 characters: status 500, and the row stays attaching": [
            f"{_LONG.removeprefix('test_')}[a long mountpoint]"
        ],
        "the mode is not looked at before it is written": [
            *(
                f"{_LONG.removeprefix('test_')}[{fault}]"
                for fault in ("a long mode", "an unknown mode", "a mode of a number")
            ),
            f"{_WRONG}[an unknown mode]",
            f"{_WRONG}[a mode of a number]",
        ],
    }.items()
    for name in names
}
