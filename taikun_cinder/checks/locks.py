# SPDX-License-Identifier: Apache-2.0
"""The checks of Cinder's locks: those of the node, and those of the volumes."""

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from cinder import coordination
from oslo_concurrency import lockutils
from oslo_config import cfg

from taikun_cinder.checks.check import NodeCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, failed, ok

#: What the names of Cinder's lock files begin with.
_OURS = "cinder-"


def _lock_path(_facts: Facts) -> Iterator[Finding]:
    where = "option lock_path of section [oslo_concurrency]"
    path = lockutils.get_lock_path(cfg.CONF)
    if not path:
        yield failed(
            "lock_path is not set, and no attach can take the lock lioadm without it",
            "Set lock_path in section [oslo_concurrency] of cinder.conf to a folder of "
            "cinder-volume's user, the same for all of Cinder's services of this node, "
            "and restart cinder-volume.",
        )
        return
    yield from _folder(Path(path), where)


def _coordination(_facts: Facts) -> Iterator[Finding]:
    # Its text may have a password.
    parts = urllib.parse.urlsplit(cfg.CONF.coordination.backend_url)
    where = "option backend_url of section [coordination]"
    if parts.scheme == "file":
        yield from _folder(Path(parts.path), where)
        return
    coordinator = coordination.Coordinator(prefix=f"{_OURS}check-")
    try:
        coordinator.start()
    except Exception as error:
        yield failed(
            f"The locks of {parts.scheme} ({where}) cannot be had: "
            f"{type(error).__name__}. No attach and no detach goes without them",
            f"See that the service answers, and that {where} has its address, its user "
            "and its password.",
        )
        return
    coordinator.stop()
    yield ok(f"{parts.scheme} answers")


def _folder(path: Path, where: str) -> Iterator[Finding]:
    """Tell what is wrong with a folder of lock files, which Cinder makes if need be."""
    there = next(place for place in (path, *path.parents) if place.exists())
    owner = f"chown -R {os.geteuid()} {path}"
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        yield failed(
            f"Nobody can make a lock in {path} ({where}) as user {os.geteuid()}",
            f"As root, run mkdir -p {path} && {owner}, and see that its disk is not "
            "read-only; or set the option to another folder.",
        )
        return
    locked = [
        file.name
        for file in sorted(path.glob(f"{_OURS}*"))
        if not os.access(file, os.W_OK)
    ]
    if locked:
        yield failed(
            f"{len(locked)} lock(s) in {path} ({where}), such as {locked[0]}, belong "
            "to another user, and cinder-volume cannot take them",
            f"As root, run {owner}. Run Cinder's commands as cinder-volume's user.",
        )
    else:
        yield ok(f"{path} can be written")


CHECKS = (
    NodeCheck(
        "lock-path",
        "``lock_path`` is set, and the locks in it are not another user's. A command "
        "that was run as root leaves such a lock behind.",
        _lock_path,
        as_service=True,
    ),
    NodeCheck(
        "coordination",
        "The locks of the volumes (``backend_url`` of ``[coordination]``) can be had.",
        _coordination,
        late="See that the service answers that backend_url of section [coordination] "
        "names.",
        as_service=True,
    ),
)
