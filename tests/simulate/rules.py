# SPDX-License-Identifier: Apache-2.0
"""The rule for second attachments, as a volume's type says it, and who is let in."""

from collections.abc import Iterator

from tests.simulate.broken import BrokenError
from tests.simulate.model import Use
from tests.simulate.tables import Values
from tests.simulate.types import SPECS
from tests.simulate.world import World


def check(world: World, use: Use, information: Values, since: float) -> None:
    """See that a server was let in by the rule.

    Only others count that had the volume when its request began, by an attachment of
    the same API that is there, and that nobody has tried to cut off.

    Args:
        world: where it was.
        use: the server's.
        information: what its host was told.
        since: when its request began.

    Raises:
        BrokenError: it was not.
    """
    secondary, at_most = _rule(world, use.type)
    others = list(_others(world, use, since))
    hosts = {one.host.name for one in others}
    if others and secondary == "deny":
        raise BrokenError(f"rule: {use.server} is let in beside {others[0].server}")
    if 0 < at_most < len({*hosts, use.host.name}):
        raise BrokenError(f"rule: {use.host.name} is let in beside {len(hosts)}")
    writes = information["access_mode"] == "rw"
    if writes and secondary == "ro" and any(one.writes for one in others):
        raise BrokenError(f"rule: {use.server} is a second server that may write")


def _rule(world: World, type_: str | None) -> tuple[str, int]:
    """Give what second servers get, and the number of hosts; 0 for any."""
    specs, (secondary, at_most) = SPECS.get(type_ or ""), world.rule
    if specs is None:
        return world.rule
    return (
        specs.get("taikun:secondary_mode", secondary),
        int(specs.get("taikun:max_hosts", at_most)),
    )


def _others(world: World, use: Use, since: float) -> Iterator[Use]:
    for one in world.expected.uses:
        other = one.volume == use.volume and one.server != use.server
        known = one.attachment and one.missing_since is None and not one.is_old
        sure = known and not (one.mode_is_late or one.may_be_cut_off)
        if other and sure and one.granted < since and world.must_reach(one):
            yield one
