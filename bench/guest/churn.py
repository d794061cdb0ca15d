# SPDX-License-Identifier: Apache-2.0
"""Hosts and volumes that come and go by Cinder's API and manager, and what stays."""

import contextlib
import gc
import os
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

from bench.guest.timing import Taken, timed, total
from lab.guest import initiators
from lab.guest.initiators import connector
from lab.guest.system import run
from lab.guest.volume import backend
from lab.guest.volume_settings import RECORDS
from lab.plan import VOLUME_GROUP

#: Every so often the host really logs in, which takes a second.
_LOGIN_EVERY_CYCLE, _LOGIN_EVERY_VOLUME = 20, 10

_HOSTS = 8


def cycles(volume_id: str, first: int, number: int) -> list[Taken]:
    """Attach hosts to one volume and detach them again; give what each time took.

    Args:
        volume_id: the volume.
        first: how many times it was done before.
        number: how many times to do it now.
    """
    served, taken = backend(), []
    for at in range(first, first + number):
        host = f"churn-{at % _HOSTS}"
        information, attached = timed(served.attach, volume_id, connector(host))
        if at % _LOGIN_EVERY_CYCLE == 0:
            _use(host, information)
        _, detached = timed(served.detach, information["attachment_id"])
        taken.append(total(attached, detached))
    return taken


def volumes(number: int, workers: int) -> None:
    """Create volumes, attach each to two hosts, detach and delete it; several at once.

    Raises:
        Exception: what one of them ended with.
    """
    with futures.ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(_volume, range(number)):
            pass


def _volume(number: int) -> None:
    served = backend()
    volume_id, hosts = served.create_volume(), (f"one-{number}", f"two-{number}")
    told = [served.attach_when_it_may(volume_id, connector(host)) for host in hosts]
    if number % _LOGIN_EVERY_VOLUME == 0:
        _use(hosts[0], told[0])
    for information in told:
        served.detach(information["attachment_id"])
    served.delete_volume(volume_id)


def _use(host: str, information: dict[str, Any]) -> None:
    path = initiators.login(host, information)
    run("dd", f"if={path}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct")
    initiators.logout(host, information)
    forget(host, information)


def forget(host: str, information: dict[str, Any]) -> None:
    """Let a host forget a volume, if it still has a record of it."""
    with contextlib.suppress(RuntimeError):
        initiators.forget(host, information)


def footprint() -> dict[str, dict[str, int]]:
    """Give what this process and its privileged one hold now.

    Returns:
        for ``cinder-volume`` and ``privileged`` each the KiB of memory, the open file
        descriptors, and the threads.
    """
    (daemon,) = _children()
    # Python looks for old objects in circles only when there are a quarter more of
    # them, which is late where Cinder has so many. That is no growth.
    gc.collect()
    return {
        name: {
            "memory": int(_status(process)["VmRSS"].split()[0]),
            "descriptors": len(os.listdir(process / "fd")),
            "threads": int(_status(process)["Threads"]),
        }
        for name, process in (
            ("cinder-volume", Path("/proc/self")),
            ("privileged", daemon),
        )
    }


def _children() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                parent = _status(process)["PPid"]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            if parent == str(os.getpid()):
                yield process


def _status(process: Path) -> Mapping[str, str]:
    lines = (process / "status").read_text().splitlines()
    return {
        key: value.strip() for key, _, value in (line.partition(":") for line in lines)
    }


def connections(host: str) -> list[str]:
    """Name a host's sessions with their TCP connections; a new login has another."""
    iqn, found = connector(host)["initiator"], []
    for session in sorted(Path("/sys/class/iscsi_session").glob("session*")):
        if _text(session / "initiatorname") == iqn:
            number = session.name.removeprefix("session")
            tcp = Path(f"/sys/class/iscsi_connection/connection{number}:0")
            port = _text(tcp / "local_port")
            found.append(f"{session.name}, port {port}, {_text(session / 'state')}")
    return found


def left_over() -> list[str]:
    """Name all that is exported or kept: one word for its kind, and then its name."""
    root = Path("/sys/kernel/config/target")
    found = [f"target {path}" for path in root.glob("iscsi/iqn*")]
    found += [f"ACL {path}" for path in root.glob("iscsi/iqn*/tpgt_*/acls/*")]
    for hba in root.glob("core/*_*"):
        inside = [path for path in hba.iterdir() if path.is_dir()]
        found += [f"backstore {path}" for path in inside] or [f"HBA {hba}"]
    names = run("lvs", "--noheadings", "-o", "lv_name", VOLUME_GROUP).split()
    found += [f"volume {name}" for name in names]
    found += [f"record {path}" for path in RECORDS.glob("*")]
    found += [
        f"session {initiator} at {target}"
        for initiator, target in initiators.sessions()
    ]
    return found + [f"node {path}" for path in Path("/etc/iscsi/nodes").glob("*/*/*")]


def _text(attribute: Path) -> str:
    return attribute.read_text().strip()
