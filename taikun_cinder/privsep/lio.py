# SPDX-License-Identifier: Apache-2.0
"""The calls of the privileged process: to read, to change, to list.

All input is checked here again, by the process that has the power. All values are
plain, since they cross a socket, and lists arrive there as tuples.
"""

from collections.abc import Callable, Sequence
from typing import Any

from taikun_cinder.privsep import (
    backstores,
    changes,
    checks,
    context,
    files,
    setup,
    state,
)
from taikun_cinder.privsep.refusal import KernelRefused

#: The changes that can be asked for, see ``privsep.changes``.
CHANGES = changes.CHANGES


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
        key: made by ``cipher.new_key``, to read the passwords in the answer.
        search: look for its backstore among all others, however many there are.
        initiators: whose ACLs to read, in lower case; None for all.

    Returns:
        ``{"backstore": None | {"device", "serial", "active"},
        "target": None | {"tpg", "other_tpgs": [TAG]}}``, with ``tpg`` None or
        ``{"enabled", "attributes": {NAME: VALUE}, "luns": {INDEX: NAME | None},
        "portals": [(ADDRESS, PORT)], "acls": {INITIATOR: {"credentials":
        None | (USERNAME, ENCRYPTED PASSWORD), "mapped": {INDEX: (LUN | None,
        WRITE_PROTECT)}, "session"}}}``.

    Raises:
        KernelRefused: it could not be read.
        ValueError: the target's name is not an IQN.
    """
    name = checks.iqn(target)
    asked = None if initiators is None else frozenset(map(checks.folder, initiators))
    try:
        return state.read(name, key, search=search, initiators=asked)
    except OSError as error:
        raise KernelRefused.of(-1, "read", error) from None


@context.entrypoint
def apply(target: str, steps: Sequence[tuple[Any, ...]]) -> None:
    """Change what LIO has for one volume, step by step.

    Args:
        target: the name of its target and its backstore.
        steps: each the name of one of ``CHANGES``, with its arguments.

    Raises:
        KernelRefused: a step failed; those before it were done.
        ValueError: one of the steps cannot be asked for; none was done.
    """
    name = checks.iqn(target)
    ready = [_checked(*step) for step in steps]
    setup.ready()
    for number, (what, change, arguments) in enumerate(ready):
        try:
            change(name, *arguments)
        except OSError as error:
            doing = what.replace("_", " ")
            raise KernelRefused.of(number, doing, error) from None


@context.entrypoint
def names(prefix: str) -> list[str]:
    """List the targets and the block backstores whose names begin with a prefix.

    Raises:
        KernelRefused: they could not be listed.
    """
    try:
        found = {*files.entries(backstores.ISCSI), *backstores.names()}
    except OSError as error:
        raise KernelRefused.of(-1, "list", error) from None
    return sorted(name for name in found if name.startswith(prefix))


def _checked(what: object, *given: object) -> tuple[str, Callable[..., None], Any]:
    if not isinstance(what, str) or what not in CHANGES:
        raise ValueError(f"there is no step {what!r}")
    change, wanted = CHANGES[what]
    if len(given) != len(wanted):
        raise ValueError(f"{what} takes {len(wanted)} values and not {len(given)}")
    pairs = zip(wanted, given, strict=True)
    return what, change, tuple(check(value) for check, value in pairs)
