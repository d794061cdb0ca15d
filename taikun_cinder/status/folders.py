# SPDX-License-Identifier: Apache-2.0
"""Checks of the folders of records: whose they are, and what is in them."""

import os
from pathlib import Path

from taikun_cinder import state_folder
from taikun_cinder.exception import RecordUnreadable
from taikun_cinder.records import Records
from taikun_cinder.status.found import Found, listed


def owner(folder: Path) -> Found:
    """See that a folder is its user's alone; it is not made here.

    The user is whoever runs this, unless that is root: then it is the folder's owner.
    """
    if not folder.is_absolute():
        return Found.failure(
            f"taikun_state_path is '{folder}', which is another folder wherever a "
            "program is started. Set it to a path that begins with /"
        )
    try:
        status = folder.stat()
        user = os.geteuid() or status.st_uid
        problems = list(state_folder.access_problems(folder, user))
    except FileNotFoundError:
        return Found(notes=[f"{folder} is made when the service starts"])
    except OSError as error:
        return _closed(folder, error)
    found = Found()
    for problem in problems:
        said = f"{problem.fault}. {problem.cure}"
        (found.warnings if problem.tolerable else found.failures).append(said)
    if user == 0:
        found += Found.warning(
            f"{folder} belongs to root. If cinder-volume runs as another user, its "
            "back ends do not start; give the folder to that user (chown -R)"
        )
    return found


def records(folder: Path) -> Found:
    """See that this version can read all records of a folder."""
    known = Records(folder)
    try:
        names = list(known.volumes())
    except OSError as error:
        return _closed(folder, error)
    found, strange, readable = Found(), [], 0
    for name in names:
        try:
            record = known.read(name)
        except RecordUnreadable as error:
            found += Found.failure(str(error.msg))
            continue
        readable += 1
        if record and not record.is_of_this_node:
            strange.append(name)
    if found.failures:
        named = listed(found.failures)
        found = Found.failure(
            f"{named}. After a reboot these volumes are not exported before "
            "cinder-volume is up. If a newer version wrote them, go on with that one; "
            "if they are damaged, delete them while cinder-volume runs, which writes "
            "them anew"
        )
    if strange:
        found += Found.warning(
            f"{len(strange)} record(s) in {folder} are of another node, and are not "
            f"believed: {listed(strange)}. No other node may share the folder"
        )
    return found + Found(notes=[f"{readable} record(s) in {folder} can be read"])


def _closed(folder: Path, error: OSError) -> Found:
    return Found.warning(
        f"{folder} could not be looked at: {error.strerror}. Run this as the user of "
        "cinder-volume"
    )
