# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder reconcile``: what differs from Cinder's attachments, and its end.

The service reconciles by itself. This command shows what a pass would do, and, with
``--yes``, does it, including what the service holds back because so many hosts would
lose their access at once (see ``brake``).
"""

from collections.abc import Callable
from typing import Any

from cinder import coordination
from oslo_config import cfg

from taikun_cinder.cli import backends
from taikun_cinder.cli.backends import Backend

#: The line for users.
HELP = (
    "compare the exports of this node with Cinder's attachments; with --yes, put them "
    "right, also where cinder-volume holds back because many hosts would lose a disk"
)


def arguments(parser: Any) -> None:
    """Add the arguments of the verb."""
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do it; without this nothing is changed",
    )


def run() -> int:
    """Reconcile all back ends of this node; give the exit status.

    It is 0 if all is right, or was put right; 1 if something differs or failed, or a
    back end cannot be told.
    """
    complaints: list[str] = []
    found = list(backends.enabled(complaints.append))
    for line in complaints:
        print(line)
    if not found:
        print("no back end in enabled_backends has volume_driver = " + backends.DRIVER)
        return 1
    owners = {backend.records.folder: backend.records.owner() for backend in found}
    for folder, owner in owners.items():
        if owner is not None:
            print(
                f"{folder} belongs to user {owner}: run this as that user, with "
                f"runuser -u {owner} -- taikun-cinder reconcile"
            )
    if any(owners.values()):
        return 1
    try:
        coordination.COORDINATOR.start()
    except Exception as error:
        print(
            "the locks that backend_url of section [coordination] of cinder.conf names "
            f"cannot be had, so nothing was done: {_words(error)}"
        )
        return 1
    try:
        work = _put_right if cfg.CONF.verb.yes else _tell
        return max(bool(complaints), *(_guarded(work, backend) for backend in found))
    finally:
        coordination.COORDINATOR.stop()


def _guarded(work: Callable[[Backend], int], backend: Backend) -> int:
    """Do it for one back end; what is wrong with it keeps it from no other."""
    try:
        return work(backend)
    except Exception as error:
        print(f"{_name(backend)}: it cannot be looked at: {_words(error)}")
        return 1


def _name(backend: Backend) -> str:
    """Give the name of a back end, also of one that is not told what it is called."""
    try:
        return backend.host
    except cfg.Error:
        return f"back end [{backend.name}]"


def _words(error: Exception) -> str:
    said = getattr(error, "msg", None) or f"{type(error).__name__}: {error}"
    return " ".join(str(said).split())


def _put_right(backend: Backend) -> int:
    failed = backend.reconcile.once(confirmed=True)
    print(f"{backend.host}: reconciled, {failed} volume(s) failed (see the log)")
    return 1 if failed else 0


def _tell(backend: Backend) -> int:
    told = 0
    for volume in backend.reconcile.volumes():
        try:
            findings = backend.reconcile.findings(volume)
        except Exception as error:
            findings = [f"it cannot be looked at: {_words(error)}"]
        for finding in findings:
            told += 1
            print(f"volume {volume['id']}: {finding}")
    for orphan in sorted(backend.reconcile.orphans()):
        told += 1
        print(f"volume {orphan}: exported, and no volume of {backend.host}")
    print(f"{backend.host}: {told} difference(s) from Cinder's attachments")
    return 1 if told else 0
