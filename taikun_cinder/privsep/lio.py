# SPDX-License-Identifier: Apache-2.0
"""The calls of the privileged process: to read, to change, to list.

All input is checked here again, by the process that has the power. All values are
plain, since they cross a socket, and lists arrive there as tuples.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from taikun_cinder.privsep import (
    backstores,
    changes,
    checks,
    context,
    deadline,
    files,
    inspection,
    readers,
    setup,
    state,
    turns,
)
from taikun_cinder.privsep.refusal import KernelRefused

LOG = logging.getLogger(__name__)

_meeting = threading.Barrier(2)

#: The changes that can be asked for, see ``privsep.changes``.
CHANGES = changes.CHANGES


@contextlib.contextmanager
def _reading(target: str) -> Iterator[str]:
    """Have the turn of a target, to read it; give its name."""
    deadline.check()
    name = checks.target(target)
    try:
        with turns.of_target(name, "read"):
            yield name
    except OSError as error:
        raise KernelRefused.of(-1, "read", error) from None


@context.entrypoint
def read(
    target: str,
    key: bytes,
    search: bool = False,
    initiators: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Tell everything that LIO has for one volume.

    Args:
        target: the name of its target and its backstore.
        key: made by ``cipher.new_key``, to compare the passwords in the answer.
        search: look for its backstore among all others, however many there are.
        initiators: whose ACLs to read, in lower case; None for all.

    Returns:
        ``{"backstore": None | {"device", "serial", "active", "refuses", "discard",
        "can_discard"}, "readers": None | {"device", "serial", "active", "refuses"},
        "target": None | {"tpg", "other_tpgs": [TAG]}}``, with ``tpg`` None or
        ``{"enabled", "attributes": {NAME: VALUE}, "luns": {INDEX: NAME | None},
        "portals": [(ADDRESS, PORT)], "acls": {INITIATOR: {"credentials":
        None | (USERNAME, DIGEST OF PASSWORD), "mapped": {INDEX: (LUN | None,
        WRITE_PROTECT)}, "session"}}}``.

    Raises:
        Busy: another call on this target has not come back.
        KernelRefused: it could not be read.
        TooLate: the caller waits no more.
        ValueError: the target is not ours.
    """
    asked = None if initiators is None else frozenset(map(checks.folder, initiators))
    with _reading(target) as name:
        return state.read(name, key, search=search, initiators=asked)


@context.entrypoint
def inspect(target: str) -> dict[str, Any]:
    """Tell the details of one volume's export, which no decision goes by.

    Args:
        target: the name of its target and its backstore.

    Returns:
        ``{"portals": [(ADDRESS, PORT)], "addresses": {INITIATOR: ADDRESS},
        "reservation": {"kind", "holder": None | INITIATOR, "registered":
        [INITIATOR]}}``.

    Raises:
        Busy: another call on this target has not come back.
        KernelRefused: it could not be read.
        TooLate: the caller waits no more.
        ValueError: the target is not ours.
    """
    with _reading(target) as name:
        return inspection.read(name)


@context.entrypoint
def apply(target: str, steps: Sequence[tuple[Any, ...]]) -> None:
    """Change what LIO has for one volume, step by step.

    Args:
        target: the name of its target and its backstore.
        steps: each the name of one of ``CHANGES``, with its arguments.

    Raises:
        Busy: another call on this target has not come back; no step was done.
        KernelRefused: a step failed; those before it were done.
        TooLate: the caller waits no more; what was not done by then is left undone.
        ValueError: one of the steps cannot be asked for; none was done.
    """
    deadline.check()
    name = checks.target(target)
    ready = [_checked(*step) for step in steps]
    setup.ready()
    with turns.of_target(name, "begin") as turn:
        for number, (what, change, arguments) in enumerate(ready):
            turn.doing = what.replace("_", " ")
            try:
                change(name, *arguments)
            except OSError as error:
                raise KernelRefused.of(number, turn.doing, error) from None
            except deadline.TooLate as late:
                _tell(name, turn.doing, len(ready) - number, late)
                raise


def _tell(target: str, doing: str, left: int, late: deadline.TooLate) -> None:
    with contextlib.suppress(OSError):  # it is the caller's log, who may be gone
        LOG.warning(
            "A change of %s came back from the kernel too late (%s). %d step(s) from "
            "'%s' on are left undone.",
            target,
            late,
            left,
            doing,
        )


@context.entrypoint
def names(prefix: str) -> list[str]:
    """List our volumes that have a target or a backstore, by the target's name.

    What is in an HBA that is being changed is left out: the kernel does not let anybody
    look there meanwhile.

    Raises:
        KernelRefused: they could not be listed.
        TooLate: the caller waits no more.
        ValueError: targets with that prefix are not ours.
    """
    deadline.check()
    ours = checks.prefixes(prefix)
    try:
        found = {*files.entries(backstores.ISCSI), *_with_backstores()}
    except OSError as error:
        raise KernelRefused.of(-1, "list", error) from None
    return sorted(name for name in found if name.startswith(ours))


def _with_backstores() -> Iterator[str]:
    for folder in readers.folders():
        if target := readers.target_of(folder):
            yield target
        elif backstores.is_block(folder):
            yield folder.rpartition("/")[2]


@context.entrypoint
def meet() -> None:
    """Wait a moment for another such call, so that each has a thread of its own."""
    with contextlib.suppress(threading.BrokenBarrierError):
        _meeting.wait(timeout=1)


@context.entrypoint
def refusals(prefix: str, group: str) -> list[str]:
    """Tell why root would not let a back end export, for the checks at its start.

    Args:
        prefix: what the names of its targets begin with.
        group: its volume group.

    Returns:
        each with the file, the option and the cure; none if root lets it.
    """
    found = []
    for check, value in (checks.prefixes, prefix), (checks.group, group):
        try:
            check(value)
        except ValueError as refused:
            found.append(str(refused))
    return list(dict.fromkeys(found))


@context.entrypoint
def lack_of_readers_disk() -> str:
    """Say what this kernel lacks for a readers' disk; empty if it is nothing.

    Raises:
        KernelRefused: it could not be asked.
        TooLate: the caller waits no more.
    """
    deadline.check()
    setup.ready()
    try:
        return readers.lack()
    except OSError as error:
        raise KernelRefused.of(-1, "look for a readers' disk", error) from None


def _checked(what: object, *given: object) -> tuple[str, Callable[..., None], Any]:
    if not isinstance(what, str) or what not in CHANGES:
        raise ValueError(f"there is no step {what!r}")
    change, wanted = CHANGES[what]
    if len(given) != len(wanted):
        raise ValueError(f"{what} takes {len(wanted)} values and not {len(given)}")
    pairs = zip(wanted, given, strict=True)
    return what, change, tuple(check(value) for check, value in pairs)
