# SPDX-License-Identifier: Apache-2.0
"""The checks whether a node can export by LIO, each fault with its cure."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import rtslib_fb
from oslo_concurrency import lockutils
from oslo_config import cfg
from rtslib_fb import utils

from taikun_cinder.access.model import Portal
from taikun_cinder.node import Node, Problem, missing_modules
from taikun_cinder.privsep import memory
from taikun_cinder.targets.lio import start
from taikun_cinder.targets.lio.states import READERS_SUFFIX

#: LIO itself, its back end for block devices, and its iSCSI.
MODULES = ("target_core_mod", "target_core_iblock", "iscsi_target_mod")

_CONFIGFS = Path("/sys/kernel/config")

#: The services that restore LIO from rtslib's file at the boot, by distribution.
SERVICES = ("target.service", "rtslib-fb-targetctl.service")


def problems(
    node: Node,
    portals: Sequence[Portal],
    prefixes: Sequence[str] = (),
    group: str | None = None,
) -> Iterator[Problem]:
    """Tell what the node lacks, each with its cure.

    Args:
        node: the node.
        portals: where targets are to listen.
        prefixes: what the names of targets begin with: that of new ones first, and
            those of all that are recorded.
        group: whose logical volumes are to be exported; None if it is not known.
    """
    if prefixes:
        yield from of_name(prefixes[0])
    missing = missing_modules(node, MODULES)
    yield from missing
    ports = {portal.port for portal in portals}
    # Without the modules LIO cannot be made ready, and that is told already.
    found = list(
        start.problems(ports, prefixes=prefixes, group=group, prepare=not missing)
    )
    yield from found
    if all(problem.tolerable for problem in found):
        yield from of_configfs(node)
    yield from of_portals(node, portals)
    yield from of_services(node)
    yield from of_readers_disks(node)
    if node.in_container:
        yield from of_container(node)


def of_readers_disks(node: Node) -> Iterator[Problem]:
    """Tell of readers' disks that this kernel does not bear, see ``privsep.readers``.

    A version of this driver that did not know of it made them.
    """
    core = node.sys / "kernel/config/target/core"
    found = sorted(
        path.name.removesuffix(READERS_SUFFIX)
        for path in core.glob(f"fileio_*/*{READERS_SUFFIX}")
    )
    if found and not memory.is_cleared(node.root, node.proc):
        yield Problem(
            "A read from a readers' disk can make this node hang or crash, since its "
            "kernel is not known to clear the memory that it allocates. They are "
            f"those of {', '.join(found)}",
            "Detach the hosts that may only read these volumes now, and attach them "
            "again. Or boot with init_on_alloc=1, or Linux 6.17 or later",
            tolerable=True,
        )


def of_name(prefix: str) -> Iterator[Problem]:
    """Tell of targets' names that rtslib does not take.

    The kernel takes them. But then rtslib, and with it targetcli, target.service and
    the in-tree driver of other back ends, fails for all that the node exports.
    """
    name = f"{prefix}{cfg.CONF.volume_name_template % uuid.UUID(int=0)}"
    try:
        taken, _kind = utils.normalize_wwn(["iqn"], name)
    except rtslib_fb.RTSLibError:
        taken = ""
    if taken != name:
        yield Problem(
            f"target_prefix is {prefix}, and rtslib, which other programs of this node "
            "change LIO by, takes no target of such a name",
            "Set target_prefix to iqn., a year and month, and a domain name backwards, "
            "all in small letters and without spaces or underscores, and a colon at "
            "the end: iqn.2010-10.org.openstack: is Cinder's own. Hosts that are "
            "attached keep the names that they were told.",
        )


def has_configfs(node: Node) -> bool:
    """Say whether configfs is mounted at its place."""
    there = node.file_system(_CONFIGFS)
    return there.folder == _CONFIGFS and there.kind == "configfs"


def of_configfs(node: Node) -> Iterator[Problem]:
    """Tell of a configfs that is not mounted, or cannot be written."""
    if not has_configfs(node):
        yield Problem(
            f"configfs is not mounted at {_CONFIGFS}, so LIO cannot be set up",
            "Mount it with systemctl start sys-kernel-config.mount, or with mount "
            f"-t configfs configfs {_CONFIGFS}.",
        )
    elif node.file_system(_CONFIGFS).read_only:
        yield Problem(
            f"configfs is mounted read-only at {_CONFIGFS}, so LIO cannot be changed",
            f"Make it writable with mount -o remount,rw {_CONFIGFS} (with bind before "
            "rw, if only this mount of it is read-only). In a container, mount it "
            f"without ro: --volume {_CONFIGFS}:{_CONFIGFS}:rw.",
        )


def of_portals(node: Node, portals: Sequence[Portal]) -> Iterator[Problem]:
    """Tell of portals where LIO cannot listen, since somebody does already."""
    # Where LIO listens already, all its targets share the port.
    taken = [
        portal
        for portal in portals
        if node.network.is_taken(portal.address, portal.port)
        and not any(portal == there for _, there in _portals_of_lio(node))
    ]
    for portal in taken:
        yield _held(node, portal, tolerable=len(taken) < len(portals))


def _held(node: Node, portal: Portal, *, tolerable: bool) -> Problem:
    # A wildcard of IPv6 takes the addresses of IPv4, too.
    wide = (str(Portal("0.0.0.0", portal.port)), str(Portal("::", portal.port)))  # noqa: S104
    for target, there in _portals_of_lio(node):
        if str(there) in wide:
            return Problem(
                f"No target can listen at {portal}, since LIO's target {target} "
                f"listens at {there}, which is every address",
                f"Let that target listen at single addresses (targetcli makes {there} "
                "by itself), or set another target_port.",
                tolerable=tolerable,
            )
    return Problem(
        f"No target can listen at {portal}, since another program listens there",
        f"Find it with ss -ltnp sport = :{portal.port} (tgtd, or another iSCSI "
        "target?) and stop it, or set another target_port.",
        tolerable=tolerable,
    )


def _portals_of_lio(node: Node) -> Iterator[tuple[str, Portal]]:
    """Give the targets that LIO has, whoever made them, and where they listen."""
    fabric = node.sys / "kernel/config/target/iscsi"
    with contextlib.suppress(OSError):
        for folder in fabric.glob("*/tpgt_*/np/*"):
            address, _, port = folder.name.rpartition(":")
            with contextlib.suppress(ValueError):
                yield folder.parents[2].name, Portal(address, int(port))


def of_container(node: Node) -> Iterator[Problem]:
    """Warn of what a container keeps for itself, though the whole node goes by it."""
    places = {
        _reservations(node): "the kernel keeps persistent reservations there on the "
        "host, and they are not given back from this container",
    }
    if locks := lockutils.get_lock_path(cfg.CONF):
        places[Path(locks)] = (
            "Cinder's lock lioadm is there, by which several containers keep out of "
            "each other's way in LIO"
        )
    for place, meaning in places.items():
        if node.file_system(place).folder == Path("/"):
            yield Problem(
                f"{place} is a part of this container: {meaning}",
                f"Mount the folder of the host there: --volume {place}:{place}.",
                tolerable=True,
            )
    yield from _another(node, _reservations(node))


def _another(node: Node, place: Path) -> Iterator[Problem]:
    """Warn of a volume in the place of a folder that the kernel has on the host."""
    if volume := node.volume_of_container(place):
        yield Problem(
            f"{place} is a volume of this container, {volume} on the host: the kernel "
            f"keeps persistent reservations in {place} of the host, and refuses those "
            "that are to outlive a power failure (APTPL) if it is not there",
            f"Mount the folder of the host there: --volume {place}:{place}. With "
            "kolla-ansible, stop the container, remove its volume and make it anew: "
            f"docker volume create --opt type=none --opt o=bind --opt device={place} "
            "target_config.",
            tolerable=True,
        )


def _reservations(node: Node) -> Path:
    try:
        return Path((node.sys / "kernel/config/target/dbroot").read_text().strip())
    except OSError:
        return Path("/etc/target")


def of_services(node: Node) -> Iterator[Problem]:
    """Tell of a service that clears LIO, and restores what rtslib's file says."""
    for service in SERVICES:
        if node.starts(service):
            yield Problem(
                f"{service} is enabled: it clears LIO at the boot and when it stops, "
                "so hosts lose their disks, and it restores the exports of an old "
                "saveconfig.json, with hosts that are detached since",
                f"If nothing else on this node needs it, run systemctl disable "
                f"{service}. Do not stop it while hosts are attached: that clears LIO.",
                tolerable=True,
            )
