# SPDX-License-Identifier: Apache-2.0
"""What a node is looked at for LIO, by the operator's check; nothing is changed."""

import dataclasses
import re
from collections.abc import Iterator, Sequence

from taikun_cinder.node import Problem, missing_modules
from taikun_cinder.privsep import helper, memory
from taikun_cinder.targets.lio import readiness, start
from taikun_cinder.targets.looks import Look, Place, Unseen

#: The back end for files, by which readers have a disk of their own on older kernels.
_FOR_FILES = "target_core_file"

#: The first Linux whose fileio reads past all caches, and the first one whose iblock
#: can share its device.
_PAST_CACHES, _SHARES = (4, 18), (6, 17)


def _modules(place: Place) -> Iterator[Problem]:
    yield from missing_modules(place.node, readiness.MODULES)


def _readers_disk(place: Place) -> Iterator[Problem]:
    for danger in readiness.of_readers_disks(place.node):
        yield dataclasses.replace(danger, tolerable=False)
    release = place.node.release
    found = re.match(r"(\d+)\.(\d+)", release)
    version = tuple(map(int, found.groups())) if found else (0, 0)
    if version >= _SHARES:
        return
    if version < _PAST_CACHES:
        yield _without_readers_disk(
            f"The running kernel is {release}, and cannot read a disk of LIO's fileio "
            "past all caches"
        )
        return
    for problem in missing_modules(place.node, (_FOR_FILES,)):
        yield _without_readers_disk(problem.fault)
    uncleared = _uncleared_memory(
        place,
        "Without that, no new host is given a readers' disk, unless LIO can share a "
        "device here.",
    )
    if uncleared:
        yield _without_readers_disk(f"{uncleared}, as LIO's fileio needs")


def _memory(place: Place) -> Iterator[Problem]:
    cure = "Boot Linux 5.3 or later with the parameter init_on_alloc=1"
    uncleared = _uncleared_memory(
        place, f"{cure} if it does not say CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y."
    )
    if uncleared:
        yield Problem(
            f"{uncleared}, and LIO shows a little of it to the root user of a host "
            "that may only read, who asks for LUN 0",
            f"{cure}.",
            tolerable=True,
        )


def _uncleared_memory(place: Place, otherwise: str) -> str:
    """Say that the kernel does not clear its memory; nothing if it does.

    Args:
        place: what is looked at.
        otherwise: what to do, or what follows, where that stays unseen.

    Raises:
        Unseen: it cannot be told.
    """
    release = place.node.release
    cleared = memory.is_cleared(place.node.root, place.node.proc)
    if cleared is None:
        raise Unseen(
            f"Whether the running kernel, {release}, clears the memory that it "
            "allocates cannot be seen from here",
            f"Let the node's /boot/config-{release} be seen here. {otherwise}",
        )
    if cleared:
        return ""
    return f"The running kernel, {release}, does not clear the memory that it allocates"


def _without_readers_disk(cause: str) -> Problem:
    return Problem(
        f"{cause}. So hosts that may only read get the main disk, write-protected, and "
        "some crafted commands get past that",
        f"Boot Linux 6.17 or later; or 5.3 or later with the module {_FOR_FILES} and "
        "the parameter init_on_alloc=1. Attach those hosts again then.",
        tolerable=True,
    )


def _privileged_process(place: Place) -> Iterator[Problem]:
    ports = {portal.port for portal in place.portals}
    yield from start.problems(
        ports, prefixes=place.prefixes, group=place.group, prepare=False
    )


def _names(place: Place) -> Iterator[Problem]:
    for prefix in place.prefixes[:1]:
        yield from readiness.of_name(prefix)


def _configfs(place: Place) -> Iterator[Problem]:
    for problem in readiness.of_configfs(place.node):
        mounted = readiness.has_configfs(place.node)
        # What is not mounted the driver mounts at its start.
        yield dataclasses.replace(problem, tolerable=not mounted)


def _portals(place: Place) -> Iterator[Problem]:
    yield from readiness.of_portals(place.node, place.portals)


def _restored_by_others(place: Place) -> Iterator[Problem]:
    if place.node.in_container and not place.node.has_systemd:
        services = " ".join(readiness.SERVICES)
        raise Unseen(
            "What the node starts at its boot cannot be seen from this container",
            f"On the node, see that systemctl is-enabled {services} says enabled for "
            "neither.",
        )
    yield from readiness.of_services(place.node)


def _container(place: Place) -> Iterator[Problem]:
    if place.node.in_container:
        yield from readiness.of_container(place.node)


LOOKS: Sequence[Look] = (
    Look(
        "kernel-modules",
        "The running kernel has the modules of LIO: loaded, built in, or to be loaded.",
        f"{', '.join(readiness.MODULES)}: loaded, or a start loads them",
        _modules,
    ),
    Look(
        "readers-disk",
        "The kernel can show read-only hosts a disk of their own (:doc:`modes`).",
        "The kernel can show read-only hosts a disk of their own",
        _readers_disk,
    ),
    Look(
        "cleared-memory",
        "The kernel clears the memory that it allocates (``init_on_alloc``), so hosts "
        "that may only read can read nothing of it (:doc:`limitations`).",
        "The kernel clears the memory that it allocates",
        _memory,
    ),
    Look(
        "configfs",
        "configfs is mounted at its place and can be written.",
        "configfs is mounted, and can be written",
        _configfs,
    ),
    Look(
        "privileged-process",
        "The privileged process really starts by sudo and cinder-rootwrap, is root "
        "with the capabilities that it needs, and is allowed this back end's volume "
        "group and ``target_prefix``.",
        "It starts, is root, and may export this back end",
        _privileged_process,
        # What it is given to start, to call back and to answer.
        seconds=3 * helper.PATIENCE + 30,
        as_service=True,
        by_options=True,
    ),
    Look(
        "target-prefix",
        "rtslib, and so targetcli and the in-tree driver, take the targets' names.",
        "rtslib takes the names of the targets",
        _names,
        by_options=True,
    ),
    Look(
        "portals",
        "No other program, and no target of somebody else's, keeps LIO from an address "
        "and port.",
        "Nobody else listens there",
        _portals,
        by_options=True,
    ),
    Look(
        "lio-restore",
        "No service clears LIO at the boot or when it stops, and restores an old "
        "``saveconfig.json`` (:doc:`restore`).",
        "No service clears or restores LIO",
        _restored_by_others,
    ),
    Look(
        "container-folders",
        "A container has the folders of the node that it must share (:doc:`install`).",
        "This is no container, or it has the folders of its node",
        _container,
    ),
)
