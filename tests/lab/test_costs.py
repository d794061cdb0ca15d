# SPDX-License-Identifier: Apache-2.0
"""What an attach costs does not depend on how much else there is (law 6)."""

from lab.guest.initiators import connector
from lab.single import SingleNode

#: Volumes with a host each, beside the one that is attached; and hosts of this one.
OTHERS = 12


def test_another_hosts_attach_and_detach_cost_the_same_beside_many_exports_and_hosts(
    node: SingleNode,
) -> None:
    with node.backend() as process:
        call = process.backend
        volume = call("create_volume")
        call("attach", volume, connector("first"))
        process("lab.guest.costs", "install")
        alone = process("lab.guest.costs", "of_a_further_host", volume)
        for _ in range(OTHERS):
            call("attach", call("create_volume"), connector("other"))
        beside_exports = process("lab.guest.costs", "of_a_further_host", volume)
        for number in range(OTHERS):
            call("attach", volume, connector(f"host-{number}"))
        beside_hosts = process("lab.guest.costs", "of_a_further_host", volume)
    assert beside_exports == alone
    assert beside_hosts == alone
    # They are counted at all, and there is no command among them.
    for cost in alone.values():
        assert set(cost) == {"privileged calls", "files", "queries"}
        assert cost["privileged calls"] == 2  # what there is, and what to change
        assert cost["queries"] <= 2
