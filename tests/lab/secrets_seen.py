# SPDX-License-Identifier: Apache-2.0
"""Every CHAP password of a cluster's run, and where on the host it can be seen."""

import json
import stat
from collections.abc import Collection
from pathlib import Path

from lab.cluster import Cluster
from lab.services import mariadb


def handed_out(cluster: Cluster) -> dict[str, str]:
    """Give every password that Cinder ever had, each with its username.

    Cinder keeps the rows of what is deleted, so this is the whole run, but for its own
    connections (backup, image copy, migration), which it writes down nowhere.
    """
    with (
        mariadb.connect(cluster.control.passwords) as database,
        database.cursor() as cursor,
    ):
        cursor.execute("SELECT connection_info FROM volume_attachment")
        told = [json.loads(text) for (text,) in cursor.fetchall() if text]
        cursor.execute("SELECT provider_auth FROM volumes")
        kept = [text.split() for (text,) in cursor.fetchall() if text]
    found = {password: username for _chap, username, password in kept}
    found |= {
        information["auth_password"]: information["auth_username"]
        for information in told
        if information.get("auth_password")
    }
    return found


def in_files(cluster: Cluster, words: Collection[str]) -> list[str]:
    """Name the logs, and the files that every user may read, that have a word in them.

    All services of the control plane, the consoles of the nodes and cinder-volume log
    to the folder that is searched.
    """
    wanted = [word.encode() for word in words]
    return [
        str(path.relative_to(cluster.work.path))
        for path in sorted(cluster.work.path.rglob("*"))
        if _is_open(path, cluster.work.logs)
        and any(word in path.read_bytes() for word in wanted)
    ]


def _is_open(path: Path, logs: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and (bool(mode & stat.S_IROTH) or logs in path.parents)
