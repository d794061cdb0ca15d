# SPDX-License-Identifier: Apache-2.0
"""What an attach costs does not depend on how much else there is (law 6)."""

from lab.guest.initiators import connector
from lab.node import Call
from lab.single import SingleNode

#: Volumes with a host each, beside the one that is attached.
OTHERS = 12


def _attached(process: Call, *hosts: str) -> str:
    def call(method: str, *arguments: object) -> object:
        return process("lab.guest.volume", "call", method, *arguments)

    volume = call("create_volume")
    for host in hosts:
        call("attach", volume, connector(host))
    return str(volume)


def test_another_hosts_attach_and_detach_cost_the_same_beside_many_exports(
    node: SingleNode,
) -> None:
    with node.backend() as process:
        volume = _attached(process, "first")
        process("lab.guest.costs", "install")
        alone = process("lab.guest.costs", "of_a_further_host", volume)
        for _ in range(OTHERS):
            _attached(process, "other")
        beside = process("lab.guest.costs", "of_a_further_host", volume)
    assert beside == alone
    # They are counted at all, and there is no command among them.
    for cost in alone.values():
        assert set(cost) == {"privileged calls", "files", "queries"}
        assert cost["privileged calls"] == 2  # what there is, and what to change
        assert cost["queries"] <= 2
