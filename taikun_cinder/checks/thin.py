# SPDX-License-Identifier: Apache-2.0
"""The check of thin pools: one that is full takes the disks of all its volumes away."""

from collections.abc import Iterator

from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, failed, ok, warning
from taikun_cinder.checks.lvm_report import Lvm, Row
from taikun_cinder.cli.backends import Backend

#: How full a pool may be, in percent: one that nobody extends, and one that LVM does.
_FULL, _GROWING_FULL = 80, 90

_ALL = 100

_LEAVE = "Until then, let nobody write more than must be."


def _pools(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm, name = facts.lvm_with_group(backend), backend.options.volume_group
    pools = [row for row in lvm.volumes if row["lv_layout"] == "thin,pool"]
    if not pools:
        yield ok(f"{name} has no thin pool")
    for pool in pools:
        yield _pool(pool, name, lvm)


def _pool(pool: Row, group: str, lvm: Lvm) -> Finding:
    name = f"{group}/{pool['lv_name']}"
    if pool["lv_active"] != "active":
        return ok(f"{name} is not active")
    data, metadata = _percent(pool["data_percent"]), _percent(pool["metadata_percent"])
    room = f"{data:.0f} % of its data and {metadata:.0f} % of its metadata are used"
    broken = _broken(name, pool["lv_health_status"], data, metadata)
    if broken:
        return broken
    threshold = int(lvm.settings.get("thin_pool_autoextend_threshold", _ALL))
    is_watched = pool["seg_monitor"] == "monitored"
    if threshold < _ALL and not is_watched:
        return warning(
            f"LVM is to extend the thin pool {name} when {threshold} % are used, and "
            f"dmeventd does not watch it; {room}",
            f"Start lvm2-monitor.service, and run lvchange --monitor y {name}.",
        )
    grows = threshold < _ALL and int(lvm.groups[group]["vg_free"]) > 0
    if max(data, metadata) >= (_GROWING_FULL if grows else _FULL):
        return warning(
            f"The thin pool {name} is nearly full: {room}", f"{_extend(name)}."
        )
    return ok(f"{name}: {room}")


def _broken(name: str, health: str, data: float, metadata: float) -> Finding | None:
    """Tell of a pool that takes no more."""
    if health == "out_of_data" or data >= _ALL:
        return failed(
            f"The thin pool {name} is full: what its volumes write waits for a minute, "
            "and then fails",
            f"{_extend(name)}. {_LEAVE}",
        )
    if health == "partial":
        return failed(
            f"A disk of the thin pool {name} is missing: what its volumes have there "
            "can neither be read nor written",
            "Bring the disk back first (see physical-volumes), and do not repair the "
            "pool before.",
        )
    if health or metadata >= _ALL:
        return failed(
            f"The thin pool {name} is {health or 'out of metadata'}: nothing can be "
            "written to its volumes",
            f"Detach its volumes, deactivate it, run lvconvert --repair {name}, and "
            "give its metadata more room (lvmthin(7), Metadata check and repair).",
        )
    return None


def _percent(text: str) -> float:
    return float(text or 0)


def _extend(name: str) -> str:
    return (
        "Delete volumes and snapshots that nobody needs, or give it more room: "
        f"lvextend --size +SIZE {name}, and for its metadata lvextend "
        f"--poolmetadatasize +SIZE {name}; vgextend first if the group has none"
    )


CHECKS = (
    BackendCheck(
        "thin-pool",
        "Thin pools have room for data and metadata, and are watched where LVM is to "
        "extend them.",
        _pools,
        seconds=60,
    ),
)
