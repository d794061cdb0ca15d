# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer: its target is busy, and nobody else notices (law 1).

With a real privileged process, and a logical volume that is suspended under a write. A
target's removal of an ACL waits for the writes of its host.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.node import Call
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode
from taikun_cinder.access.model import Mode
from tests.contract.suite import A, B, C, grant
from tests.lab.lio_world import NodeLab, NodeWorld
from tests.lab.stories import OURS, Story, told

pytestmark = pytest.mark.in_turn(4, of="what a node bears")

HANGING = "tests.lab.guest.hanging"

#: How long the callers in these tests wait for a call, in seconds.
TIMEOUT = 3.0

MANY = 20


@contextlib.contextmanager
def _client(node: SingleNode, timeout: float = TIMEOUT) -> Iterator[tuple[Call, int]]:
    """Give a process with a privileged one of its own, and its number."""
    with node.node.session() as process:
        number = process(HANGING, "use_daemon", timeout)
        # Its start takes seconds where others are busy beside it.
        assert "error" not in process(HANGING, "call", "names", NodeWorld.prefix)
        yield process, number


@contextlib.contextmanager
def _sick(lab: NodeLab, disk: str) -> Iterator[None]:
    """Let the volume answer nothing during the block, under a write of a host."""
    lab.world._process(HANGING, "fall_sick", {lab.device: disk})
    try:
        yield
    finally:
        lab.world._process(HANGING, "resume", lab.device)


def _until(asked: Any, what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not asked():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _free(client: Call, name: str) -> Any:
    return lambda: "error" not in client(HANGING, "call", "read", name)


def test_what_comes_back_too_late_does_nothing_more(
    node: SingleNode, lab: NodeLab
) -> None:
    lab.ensure(lab.export(grant(A), grant(B)))
    writer = lab.login(grant(B))
    with _client(node) as (client, _):
        with _sick(lab, writer.path):
            # B goes, which hangs, and then C would come.
            late = client(
                HANGING, "call", "ensure", lab.name, lab.export(grant(A), grant(C))
            )
            assert "StepUnfinished" in late["error"]
            assert TIMEOUT <= late["seconds"] < TIMEOUT + 5
            # Meanwhile C is detached, and A may only read.
            for wanted in (lab.export(grant(A, Mode.RO)), None):
                refused = client(HANGING, "call", "ensure", lab.name, wanted)
                assert "TargetBusy" in refused["error"]
                assert lab.name in refused["error"]
                assert "remove acl" in refused["error"]
                assert refused["seconds"] < 2
            assert "TargetBusy" in client(HANGING, "call", "read", lab.name)["error"]
            assert client(HANGING, "call", "names", "iqn.")["result"] == {lab.name}
        _until(_free(client, lab.name), "the call has not come back")
        acls = lab.kernel.read(lab.name).acls
        # What hung was the end of B's session. All behind that came too late.
        assert acls.keys() == {A, B}
        assert (acls[B].session, acls[B].credentials) == (False, None)
        wanted = lab.export(grant(A, Mode.RO), grant(C))
        assert "error" not in client(HANGING, "call", "ensure", lab.name, wanted)
        time.sleep(1)
        assert lab.target.findings(lab.name, wanted) == ()
    writer.forget()


def test_a_killed_services_privileged_process_does_nothing_more(
    node: SingleNode, lab: NodeLab
) -> None:
    lab.ensure(lab.export(grant(A), grant(B)))
    writer = lab.login(grant(B))
    wanted = lab.export(grant(A), grant(C))
    with contextlib.ExitStack() as first, _client(node) as (second, _):
        # Its time is not over when it wakes: only its caller is gone.
        client, number = first.enter_context(_client(node, 600))
        with _sick(lab, writer.path):
            client(HANGING, "begin", "ensure", lab.name, wanted)
            time.sleep(2)
            lab.world._process(HANGING, "kill", number)
            busy = second(HANGING, "call", "ensure", lab.name, lab.export(grant(A)))
            assert "TargetBusy" in busy["error"]
            assert busy["seconds"] < 3
        _until(_free(second, lab.name), "the call has not come back")
        assert lab.kernel.read(lab.name).acls.keys() == {A}
        assert "error" not in second(
            HANGING, "call", "ensure", lab.name, lab.export(grant(A), grant(C))
        )
        _until(
            lambda: lab.world._process(HANGING, "privileged") == 1,
            "the killed service's privileged process lives on",
        )
        assert lab.target.findings(lab.name, wanted) == ()
        with contextlib.suppress(Exception):
            first.close()
    writer.forget()


class _Volumes:
    """Volumes that each have a host which is logged in."""

    def __init__(self, story: Story, count: int) -> None:
        self._story = story
        self.attachments: list[str] = []
        self.disks: dict[str, str] = {}
        for _ in range(count):
            volume = story.driver("create_volume")
            logical = f"/dev/{VOLUME_GROUP}/volume-{volume}"
            story.guest(HANGING, "shrink", logical)
            told = story.driver("attach", volume, story.connector("a"))
            disk = story.guest("lab.guest.initiators", "login", "a", told)
            self.disks[logical] = str(disk)
            self.attachments.append(str(told["attachment_id"]))

    @contextlib.contextmanager
    def sick(self) -> Iterator[None]:
        """Let them all answer nothing during the block."""
        try:
            self._story.guest(HANGING, "fall_sick", self.disks)
            yield
        finally:
            for logical in self.disks:
                self._story.guest(HANGING, "resume", logical)


@pytest.mark.thorough  # two minutes
def test_many_sick_volumes_cost_anothers_attach_nothing(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.inside(HANGING, "use_daemon", TIMEOUT)
        volumes = _Volumes(story, MANY)
        connector = story.connector("b")
        for _ in range(2):  # the first one starts processes
            usual = story.inside(HANGING, "detach_beside", [], story.volume, connector)
        with volumes.sick():
            begun = story.inside(
                HANGING, "detach_beside", volumes.attachments, story.volume, connector
            )
            assert all("busy" in error for error in begun["errors"])
            # All of these want the node's one processor in the same moment.
            assert begun["attach"] < 2 * TIMEOUT
            again = story.inside(HANGING, "detach_beside", [], story.volume, connector)
            assert again["attach"] < 2 * usual["attach"] + 1
            assert again["detach"] < 2 * usual["detach"] + 1
            refused = story.inside(
                HANGING, "detach_beside", volumes.attachments, story.volume, connector
            )
            assert all("is busy" in error for error in refused["errors"])
            passed = story.inside(HANGING, "timed", "reconcile")
            assert passed < MANY
            story.attach("b")  # and its host logs in, too
        _settle(story, volumes)


def _settle(story: Story, volumes: _Volumes) -> None:
    """See that each detach works when it is repeated."""
    left = list(volumes.attachments)
    deadline = time.monotonic() + 60
    while left:
        assert time.monotonic() < deadline, f"{len(left)} cannot be detached"
        told = story.driver("together", [("detach", [one]) for one in left])
        left = [one for one, error in zip(left, told, strict=True) if error]
    assert story.initiators() == ["iqn.2026-11.example.lab:b"]
    story.detach("b")
    story.driver("reconcile")
    assert story.targets() == []
