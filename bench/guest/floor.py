# SPDX-License-Identifier: Apache-2.0
"""The least that letting a host in and out can cost: the kernel's own work.

The same objects and values as our driver's, in one process, without Cinder, database,
record, lock or privileged process. It may take for granted what the driver checks.
"""

import time
from collections.abc import Callable
from pathlib import Path

from rtslib_fb import TPG, FabricModule, MappedLUN, NodeACL, Target

_ISCSI = Path("/sys/kernel/config/target/iscsi")
_INITIATOR = "iqn.2026-11.example.lab:floor"
_USERNAME, _PASSWORD = "floor", "0123456789abcdef"


def configfs(target: str) -> tuple[float, float]:
    """Let a host in and out by bare file operations; give the seconds of each."""
    tpg = _ISCSI / target / "tpgt_1"
    acl = tpg / "acls" / _INITIATOR

    def attach() -> None:
        acl.mkdir()
        (acl / "auth/password").write_text(_PASSWORD)
        (acl / "auth/userid").write_text(_USERNAME)
        (acl / "lun_0").mkdir()
        (acl / "lun_0/lun").symlink_to(tpg / "lun/lun_0")

    def detach() -> None:
        (acl / "lun_0/lun").unlink()
        (acl / "lun_0").rmdir()
        acl.rmdir()

    return _taken(attach), _taken(detach)


def rtslib(target: str) -> tuple[float, float]:
    """Do the same by rtslib, which finds each object by its name."""

    def tpg() -> TPG:
        found = Target(FabricModule("iscsi"), target, mode="lookup")
        return TPG(found, 1, mode="lookup")

    def attach() -> None:
        acl = NodeACL(tpg(), _INITIATOR, mode="create")
        acl.chap_userid, acl.chap_password = _USERNAME, _PASSWORD
        MappedLUN(acl, 0, 0)

    def detach() -> None:
        NodeACL(tpg(), _INITIATOR, mode="lookup").delete()

    return _taken(attach), _taken(detach)


def runs(method: str, target: str, number: int) -> list[tuple[float, float]]:
    """Measure by one of the methods several times; each run gives attach and detach."""
    measure = {"configfs": configfs, "rtslib": rtslib}[method]
    return [measure(target) for _ in range(number)]


def _taken(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
