# SPDX-License-Identifier: Apache-2.0
"""The checks before a back end starts, each fault with its cure.

What nothing can be exported without keeps the back end from starting. The rest is a
warning, and all of it is told at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cinder.volume import driver
from cinder.volume.drivers import lvm
from oslo_log import log as logging

from taikun_cinder import (
    contents,
    extra_specs,
    group_faults,
    option_faults,
    opts,
    state_folder,
    target_faults,
    volume_groups,
)
from taikun_cinder.access.rules import Guard
from taikun_cinder.exception import BackendRefused
from taikun_cinder.monitoring import textfile
from taikun_cinder.node import Node, Problem

LOG = logging.getLogger(__name__)

_LVM = ("volume_group", "lvm_conf_file", "lvm_suppress_fd_warnings")
_GUARD = extra_specs.FILESYSTEM_GUARD.option or ""


def refuse_configuration(configuration: Any, node: Node) -> None:
    """Refuse options that no repair of the node could make good.

    If there are any, the node is looked at too, so that one start tells it all.

    Raises:
        BackendRefused: with all problems.
    """
    _register(configuration)
    problems = list(option_faults.problems(configuration))
    if not all(problem.tolerable for problem in problems):
        _judge(configuration, [*problems, *of_node(configuration, node)])


def refuse_node(
    configuration: Any,
    node: Node,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> None:
    """Refuse a node that could not serve an export, and warn of what it lacks else.

    Raises:
        BackendRefused: with all problems.
    """
    _register(configuration)
    options = option_faults.problems(configuration)
    _judge(configuration, [*options, *of_node(configuration, node, groups)])


def _register(configuration: Any) -> None:
    """Let a section know its options: the driver's constructor does it too late."""
    for options in (
        driver.volume_opts,
        driver.backup_opts,
        lvm.volume_opts,
        opts.BACKEND_OPTS,
    ):
        configuration.append_config_values(options)


def _judge(configuration: Any, problems: Iterable[Problem]) -> None:
    by_kind: dict[bool, list[Problem]] = {True: [], False: []}
    for problem in problems:
        by_kind[problem.tolerable].append(problem)
    refusals, warnings = by_kind[False], by_kind[True]
    section = option_faults.section(configuration)
    if warnings:
        LOG.warning(
            "Back end [%(backend)s] has %(count)d thing(s) that should be put right, "
            "though it can do without:%(problems)s",
            {"backend": section, "count": len(warnings), "problems": _listed(warnings)},
        )
    if refusals:
        raise BackendRefused(
            backend=section, count=len(refusals), problems=_listed(refusals)
        )


def _listed(problems: Iterable[Problem]) -> str:
    return "".join(
        f"\n {number}. {problem.fault}. {problem.cure}"
        for number, problem in enumerate(problems, start=1)
    )


def of_node(
    configuration: Any,
    node: Node,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> Iterator[Problem]:
    """Tell what is wrong with the node, as far as the options can be read."""
    if option_faults.are_readable(configuration, *_LVM):
        yield from group_faults.of_volume_group(configuration, groups)
    found = list(target_faults.of_targets(configuration, node))
    yield from found
    # Without the privileged process nobody can look.
    if all(problem.tolerable for problem in found):
        yield from of_guard(configuration)
    if option_faults.are_readable(configuration, "taikun_state_path"):
        folder = Path(configuration.taikun_state_path)
        yield from state_folder.problems(folder, node)
    if not option_faults.unreadable(configuration, "taikun_metrics_folder"):
        yield from textfile.problems(configuration.taikun_metrics_folder, node)


def has_guard(configuration: Any) -> bool:
    """Say whether a back end wants volumes to be looked at before they are shared."""
    if not option_faults.are_readable(configuration, _GUARD):
        return False
    return Guard(getattr(configuration, _GUARD)) is not Guard.OFF


def of_guard(configuration: Any) -> Iterator[Problem]:
    """Tell why volumes cannot be looked at, if the back end wants them to be."""
    if has_guard(configuration) and (lack := contents.lack()):
        yield Problem(
            f"{_GUARD} is {getattr(configuration, _GUARD)}, and what is on a volume "
            f"cannot be looked at: {lack}",
            "Put that right. Until then second servers are not let in to write where "
            "the guard is ro or deny, and unseen where it is warn.",
            tolerable=True,
        )
