# SPDX-License-Identifier: Apache-2.0
"""A volume that LVM cannot extend while it is attached stays in use.

The manager and LVM are real; the story of the in-tree driver shows what it was like.
"""

import pytest

from lab.plan import VOLUME_GROUP
from lab.single import SingleNode
from tests.lab.stories import IN_TREE, OURS, told

pytestmark = pytest.mark.in_turn(4, of="what a node bears")


@pytest.mark.parametrize(
    ("driver", "status"),
    [
        (OURS, "in-use"),
        # Tells what it was like.
        pytest.param(IN_TREE, "error_extending", marks=pytest.mark.thorough),
    ],
)
def test_extension_of_an_attached_volume_with_a_thick_snapshot(
    node: SingleNode, driver: str, status: str
) -> None:
    with told(node, driver) as story:
        name = f"{VOLUME_GROUP}/volume-{story.volume}"
        device = story.attach("a")
        node.node.run(f"lvcreate --yes --snapshot --size 52M --name thick {name}")
        with story.writing(device) as seen:
            found = story.driver("extend_volume", story.volume, 2, 5)
        assert found == status
        assert seen["errors"] == []
        size = "lvs --noheadings --units g --nosuffix -o lv_size"
        assert float(node.node.run(f"{size} {name}")) == 1
        node.node.run(f"lvremove --yes {VOLUME_GROUP}/thick")
        if driver == OURS:
            assert story.driver("extend_volume", story.volume, 2) == "in-use"
            assert float(node.node.run(f"{size} {name}")) == 2
        story.detach("a")
