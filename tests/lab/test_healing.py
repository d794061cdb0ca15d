# SPDX-License-Identifier: Apache-2.0
"""Everything missing or wrong in the kernel is put right, and nothing else (law 3)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.single import SingleNode
from tests.lab.guest.damage import EMPTIES_SESSIONS, ENDS_SESSIONS, UNFELT
from tests.lab.stories import OURS, Story
from tests.lab.writers import PAUSE, undisturbed

pytestmark = pytest.mark.in_turn(4, of="file")

#: As many damages at once as possible, put right by two starts of the service.
TOGETHER = (
    (
        "no portal",
        "no LUN for b",
        "a wrong password for b",
        "nothing asked of b",
        "a wrong password for a",
        "nothing asked of a",
        "nothing asked of anybody",
        "an ACL for whoever comes",
        "who comes may write",
        "new LUNs read-only",
        "a foreign host let in",
        "another LUN",
        "another TPG",
    ),
    ("no ACL for b", "a foreign host half in"),
)


class Damaged:
    """A volume that a has as its disk and writes to, and b could log in to."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.device = story.attach("a")
        story.attach("b")
        story.log_out("b")
        self._target = story.information("a")["target_iqn"]
        self._right = self._everything()
        self._run = story.guest("lab.guest.steady", "begin", self.device, 100, PAUSE)

    def _everything(self) -> dict[str, str]:
        return dict(
            self._story.guest("tests.lab.guest.damage", "everything", self._target)
        )

    def seen(self) -> dict[str, Any]:
        """Give what the writer saw so far."""
        return dict(self._story.guest("lab.guest.steady", "so_far", self._run))

    def end(self) -> None:
        """Let the writer stop; then all log in with what they were told."""
        self._story.guest("lab.guest.steady", "end", self._run)
        self._story.log_out("a")
        self._story.log_in("a")
        self._story.log_in("b")

    def heal(self, remedy: str, *what: str) -> None:
        """Damage something and let it be put right; nothing else may have changed."""
        self._story.guest("tests.lab.guest.damage", "damage", self._target, *what)
        assert self._wrong(), f"{what}: that is no damage"
        self._story.driver(remedy)
        assert self._wrong() == set(), f"{what}, {remedy}"

    def _wrong(self) -> set[tuple[str, str]]:
        return self._everything().items() ^ self._right.items()

    def goes_on(self, what: object) -> list[str]:
        """Wait until the writer has written after now; give all errors that it saw."""
        deadline, before = time.monotonic() + 60, self.seen()["writes"]
        while (seen := self.seen())["writes"] <= before + 1:
            assert time.monotonic() < deadline, f"{what}: the writer hangs"
            time.sleep(0.1)
        return list(seen["errors"])


@pytest.fixture
def damaged(node: SingleNode) -> Iterator[Damaged]:
    """The volume, with a driver that reconciles when it is asked to."""
    with node.backend(OURS, {"taikun_reconcile_interval": "0"}) as backend:
        yield Damaged(Story(node, backend))


def test_what_no_session_stands_on_is_put_right_unnoticed(damaged: Damaged) -> None:
    damages = [("reconcile", what) for what in UNFELT]
    for remedy, *what in [*damages, *(("restart", *some) for some in TOGETHER)]:
        damaged.heal(remedy, *what)
        assert damaged.goes_on(what) == [], f"{what}, {remedy}"
        assert damaged.seen()["longest"] < REPLACEMENT_TIMEOUT, f"{what}, {remedy}"
    damaged.end()


def test_a_host_goes_on_when_what_it_stands_on_is_put_right(
    node: SingleNode, damaged: Damaged
) -> None:
    node.node.run("echo 120 | tee /sys/class/iscsi_session/*/recovery_tmo")
    by_start = ("restart", "no target and no backstore")
    for remedy, what in [
        *(("reconcile", damage) for damage in ENDS_SESSIONS),
        by_start,
    ]:
        damaged.heal(remedy, what)
        assert damaged.goes_on(what) == [], f"{what}, {remedy}"
    by_start = ("restart", "no LUN")
    for remedy, what in [
        *(("reconcile", damage) for damage in EMPTIES_SESSIONS),
        by_start,
    ]:
        damaged.heal(remedy, what)
        errors = damaged.goes_on(what)
        assert damaged.goes_on(what) == errors, f"{what}, {remedy}"
    damaged.end()


def test_a_stranger_who_came_in_by_an_edit_by_hand_is_out_again(
    node: SingleNode,
) -> None:
    with node.backend(OURS) as backend:
        story = Story(node, backend)
        disk = story.attach("a")
        target = story.information("a")["target_iqn"]
        openings = (
            "nothing asked of anybody",
            "an ACL for whoever comes",
            "who comes may write",
        )
        with undisturbed(story, disk):
            story.guest("tests.lab.guest.damage", "damage", target, *openings)
            known = story.information("a") | {"auth_method": "None"}
            there = story.guest("lab.guest.initiators", "login", "stranger", known)
            story.guest("lab.guest.blocks", "write", there, 300, "a stranger was here")
            story.driver("reconcile")
            with pytest.raises(OSError, match="Errno"):
                story.guest(
                    "lab.guest.blocks", "write", there, 300, "and is here still"
                )
            story.guest("lab.guest.initiators", "logout", "stranger", known)
            with pytest.raises(RuntimeError, match=r"(?i)login|authoriz"):
                story.guest("lab.guest.initiators", "login", "stranger", known)


def test_a_backstore_without_a_target_does_not_keep_a_volume_that_nobody_has(
    node: SingleNode,
) -> None:
    with node.backend(OURS, {"taikun_reconcile_interval": "0"}) as backend:
        story = Story(node, backend)
        story.attach("a")
        target = story.information("a")["target_iqn"]
        story.detach("a")
        for request, *what in (("reconcile",), ("delete_volume", story.volume)):
            story.guest("tests.lab.guest.damage", "leave_backstore", target)
            story.driver(request, *what)
            names = story.guest("tests.lab.guest.lio", "call", "names", target)
            assert names == frozenset(), request
