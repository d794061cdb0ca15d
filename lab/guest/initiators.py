# SPDX-License-Identifier: Apache-2.0
"""Several iSCSI initiators on one kernel, each with a name of its own.

For the one-kernel node: os-brick knows one initiator for each kernel, so these log in
by iscsiadm, through an interface record that carries the initiator's name.
"""

import errno
import os
import time
from pathlib import Path
from typing import Any

from lab.guest.system import run

_SESSIONS = Path("/sys/class/iscsi_session")


def connector(name: str) -> dict[str, Any]:
    """Give the connector of the host ``name``."""
    return {
        "initiator": f"iqn.2026-11.example.lab:{name}",
        "host": name,
        "ip": "127.0.0.1",
        "multipath": False,
        "platform": "x86_64",
        "os_type": "linux",
    }


def login(name: str, information: dict[str, Any]) -> str:
    """Log the host ``name`` in to a volume; give the path of its block device.

    Args:
        name: the host.
        information: the connection's data, as a driver gives it. It may name another
            ``initiator`` than the host's own.

    A host that is logged in already looks for new LUNs, as os-brick lets it.

    Raises:
        RuntimeError: the target refused, or the device did not come up.
    """
    known = run("iscsiadm", "-m", "iface").splitlines()
    if not any(line.startswith(f"{name} ") for line in known):
        run("iscsiadm", "-m", "iface", "-I", name, "-o", "new")
    iqn = str(information.get("initiator") or connector(name)["initiator"])
    _update(["iscsiadm", "-m", "iface", "-I", name], {"iface.initiatorname": iqn})
    node = _node(name, information)
    lun = int(information.get("target_lun", 0))
    if _is_logged_in(name, information["target_iqn"]):
        look_for_luns(iqn, information["target_iqn"])
        return disk(iqn, information["target_iqn"], lun)
    run(*node, "-o", "new")
    settings = {"node.session.auth.authmethod": information["auth_method"]}
    if information["auth_method"] != "None":
        settings["node.session.auth.username"] = information["auth_username"]
        settings["node.session.auth.password"] = information["auth_password"]
    _update(node, settings)
    run(*node, "--login")
    return disk(iqn, information["target_iqn"], lun)


def logout(name: str, information: dict[str, Any]) -> None:
    """Log the host ``name`` out of a volume."""
    run(*_node(name, information), "--logout")


def forget(name: str, information: dict[str, Any]) -> None:
    """Let the host ``name``, which is logged out, forget a volume."""
    run(*_node(name, information), "-o", "delete")


def discover(name: str, information: dict[str, Any]) -> list[str]:
    """Ask a portal for targets as the host ``name``; give the names that it tells."""
    known = run("iscsiadm", "-m", "iface").splitlines()
    if not any(line.startswith(f"{name} ") for line in known):
        run("iscsiadm", "-m", "iface", "-I", name, "-o", "new")
    iqn = str(connector(name)["initiator"])
    _update(["iscsiadm", "-m", "iface", "-I", name], {"iface.initiatorname": iqn})
    portal = information["target_portal"]
    discovery = ["iscsiadm", "-m", "discovery", "-t", "st", "-p", portal, "-I", name]
    try:
        said = run(*discovery, "-o", "nonpersistent")
    except RuntimeError as error:
        if "No portals found" not in str(error):
            raise
        return []
    return sorted({line.split()[1] for line in said.splitlines()})


def sessions() -> list[tuple[str, str]]:
    """Give (initiator, target) of each session that is logged in."""
    found = []
    for session in sorted(_SESSIONS.glob("session*")):
        if (session / "state").read_text().strip() == "LOGGED_IN":
            names = ("initiatorname", "targetname")
            initiator, target = ((session / n).read_text().strip() for n in names)
            found.append((initiator, target))
    return found


def _node(name: str, information: dict[str, Any]) -> list[str]:
    target, portal = information["target_iqn"], information["target_portal"]
    return ["iscsiadm", "-m", "node", "-T", target, "-p", portal, "-I", name]


def _update(record: list[str], settings: dict[str, str]) -> None:
    for key, value in settings.items():
        run(*record, "-o", "update", "-n", key, "-v", value)


def disk(initiator: str, target: str, lun: int = 0, timeout: float = 20) -> str:
    """Give the path of the block device of a LUN, once it is there.

    Raises:
        RuntimeError: it did not come up.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for session in _of(initiator, target):
            blocks = list((session / "device").glob(f"target*/*:{lun}/block/*"))
            if blocks and _is_there(path := f"/dev/{blocks[0].name}"):
                return path
        time.sleep(0.05)
    raise RuntimeError(f"no LUN {lun} came up for {initiator} at {target}")


def _is_there(path: str) -> bool:
    """Say whether a disk can be opened: its node may be that of the one before it."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENXIO)
    return True


def look_for_luns(initiator: str, target: str) -> None:
    """Let a host that is logged in look for new LUNs."""
    for session in _of(initiator, target):
        number = session.name.removeprefix("session")
        run("iscsiadm", "-m", "session", "-r", number, "--rescan")


def _is_logged_in(name: str, target: str) -> bool:
    """Say whether a host is logged in by its own interface record."""
    return any(
        (session / "ifacename").read_text().strip() == name
        and (session / "targetname").read_text().strip() == target
        and (session / "state").read_text().strip() == "LOGGED_IN"
        for session in _SESSIONS.glob("session*")
    )


def _of(initiator: str, target: str) -> list[Path]:
    """Give the sessions of an initiator to a target."""
    return [
        session
        for session in _SESSIONS.glob("session*")
        if (session / "initiatorname").read_text().strip() == initiator
        if (session / "targetname").read_text().strip() == target
    ]
