# SPDX-License-Identifier: Apache-2.0
"""Every request in every state that a volume and its attachments can be in."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.attachments import model
from tests.attachments.api import Api
from tests.attachments.cloud import Cloud
from tests.attachments.model import State
from tests.attachments.real import Real

#: An example is up to so many requests, about a third of a second each in the lab.
LONGEST = 20

#: At once, in an example.
MOST = 4


@pytest.mark.parametrize(
    ("kind", "most", "old"),
    [
        pytest.param("shared", 1, True, id="one of a multiattach volume"),
        pytest.param("plain", 1, True, id="one of a plain volume"),
        pytest.param("plain", 2, False, id="two of a plain volume"),
        pytest.param("shared", 2, False, id="two of a multiattach volume"),
    ],
)
def test_every_request_in_every_state_does_what_cinder_says(
    cloud: Cloud, member: Api, service: Api, kind: str, most: int, old: bool
) -> None:
    multiattach = kind == "shared"
    with cloud.volumes(kind).lent() as volume:
        real = Real(member, service, volume, multiattach=multiattach)
        steps = 0
        for action in model.walk(multiattach, most, old=old):
            real.take(action)
            steps += 1
    print(f"{steps} requests")  # what --capture=no shows


# No shrinking: each try takes as long as the example.
@settings(max_examples=10, phases=[Phase.explicit, Phase.generate], derandomize=True)
@given(data=st.data())
def _story(
    cloud: Cloud, member: Api, service: Api, kind: str, data: st.DataObject
) -> None:
    multiattach = kind == "shared"
    with cloud.volumes(kind).lent() as volume:
        real = Real(member, service, volume, multiattach=multiattach)
        for _ in range(data.draw(st.integers(LONGEST // 2, LONGEST))):
            real.take(data.draw(st.sampled_from(model.actions(real.state, MOST))))


@pytest.mark.parametrize("kind", ["shared", "plain"])
def test_any_requests_of_many_servers_do_what_cinder_says(
    cloud: Cloud, member: Api, service: Api, kind: str
) -> None:
    _story(cloud, member, service, kind)


def test_the_walk_goes_everywhere() -> None:
    seen = {State(multiattach=True)}
    state = State(multiattach=True)
    for action in model.walk(multiattach=True, most=2, old=False):
        state = model.result(state, action)
        seen.add(state)
    # The volume's and the attachments' statuses that can be together.
    assert {(one.status, *sorted(row.status for row in one.rows)) for one in seen} == {
        ("available",),
        ("reserved", "reserved"),
        ("attaching", "attaching"),
        ("in-use", "attached"),
        ("reserved", "attached", "reserved"),
        ("in-use", "attached", "attached"),
        ("attaching", "attached", "attaching"),
        ("in-use", "attached", "attaching"),
        ("in-use", "attached", "reserved"),
        ("attaching", "attaching", "reserved"),
        ("attaching", "attaching", "attaching"),
    }
