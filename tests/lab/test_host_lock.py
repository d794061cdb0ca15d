# SPDX-License-Identifier: Apache-2.0
"""An attach beside a detach on one host keeps the disk that it found logged in."""

import pytest

from lab.plan import STORAGE_NODE
from lab.single import SingleNode
from tests.lab.stories import OURS, told

_BESIDE = "tests.lab.guest.beside"


@pytest.mark.in_turn(4, of="what a node bears")
@pytest.mark.parametrize("locks", [True, False], ids=["now", "before"])
def test_a_detach_does_not_log_out_what_an_attach_beside_it_uses(
    node: SingleNode, locks: bool
) -> None:
    with told(node, OURS) as story:
        story.inside(_BESIDE, "register")
        connector = story.connector(STORAGE_NODE.name)
        first = story.inside(_BESIDE, "attach", story.volume, connector)
        path = first["device"]["path"]
        story.guest("lab.guest.blocks", "write", path, 5, "of both servers")
        arguments = story.volume, connector, first, locks
        read = story.inside(_BESIDE, "detach_beside_an_attach", *arguments)
        if locks:
            assert read == "of both servers"
        else:
            assert read.startswith("lost")
        story.inside(_BESIDE, "end", story.volume)
