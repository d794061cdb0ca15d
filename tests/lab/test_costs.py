# SPDX-License-Identifier: Apache-2.0
"""The cost of an attach does not depend on how much else there is (law 6)."""

from typing import Any

import pytest

from lab.guest.initiators import connector
from lab.single import SingleNode

pytestmark = pytest.mark.in_turn(4, of="what a node bears")

#: The number of other volumes with a host each, and of further hosts of one volume.
OTHERS = 12


def test_an_attach_and_a_detach_cost_the_same_beside_many_exports_and_hosts(
    node: SingleNode,
) -> None:
    with node.backend() as process:
        call = process.backend
        own, shared = call("create_volume"), call("create_volume")
        call("attach", shared, connector("first"))
        process("tests.lab.guest.costs", "install")

        def count(volume: str) -> Any:
            return process("tests.lab.guest.costs", "of_a_host", volume)

        count(own)  # its first export of all finds no record
        only_host, further_host = count(own), count(shared)
        reconcile = process("tests.lab.guest.costs", "of_a_reconcile", shared)
        for _ in range(OTHERS):
            call("attach", call("create_volume"), connector("other"))
        assert (count(own), count(shared)) == (only_host, further_host)
        assert process("tests.lab.guest.costs", "of_a_reconcile", shared) == reconcile
        for number in range(OTHERS):
            call("attach", shared, connector(f"host-{number}"))
        assert count(shared) == further_host
    # The counters work, and count no command and no walk.
    for cost in (*only_host.values(), *further_host.values()):
        assert set(cost) == {"privileged calls", "files", "queries"}
    for cost in further_host.values():
        assert cost["privileged calls"] == 2  # what there is, and what to change
        assert cost["queries"] <= 2
    assert set(reconcile) == {"privileged calls", "files", "queries"}
    assert reconcile["privileged calls"] == 1
