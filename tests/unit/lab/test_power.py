# SPDX-License-Identifier: Apache-2.0
"""The lab's power switch, asked by its fence agent as Pacemaker does."""

import types
from typing import Any

import pytest

from lab import power
from lab.guest import fence_lab


class _Node:
    def __init__(self, name):
        self.name = name
        self.has_power = True
        self.kernel = types.SimpleNamespace(
            alive=lambda: self.has_power, cut_power=self._cut
        )

    def _cut(self):
        self.has_power = False

    def boot(self):
        self.has_power = True


@pytest.fixture
def nodes(monkeypatch):
    """Two nodes with a switch that the agent finds."""
    monkeypatch.setattr(power, "CONTROL", "127.0.0.1")
    monkeypatch.setattr(power, "POWER_PORT", 0)
    made: list[Any] = [_Node("storage"), _Node("storage2")]
    switch = power.PowerSwitch(made)
    monkeypatch.setattr(fence_lab, "CONTROL", "127.0.0.1")
    monkeypatch.setattr(fence_lab, "POWER_PORT", switch.port)
    yield made
    switch.close()


def _agent(action, plug="storage"):
    return fence_lab.main(
        fence_lab.options([f"action={action}\n", f"plug={plug}\n", "nodename=x\n"])
    )


def test_one_node_loses_its_power_and_gets_it_back(nodes):
    assert _agent("status") == 0
    assert _agent("off") == 0
    assert [node.has_power for node in nodes] == [False, True]
    assert _agent("status") == 2
    assert _agent("off") == 0
    assert _agent("on") == 0
    assert nodes[0].has_power


def test_node_that_cannot_boot_again_is_fenced_all_the_same(nodes):
    nodes[0].boot = lambda: None
    assert _agent("reboot") == 0
    assert not nodes[0].has_power


@pytest.mark.parametrize("action", ["on", "off", "reboot", "status"])
def test_what_the_switch_does_not_know_is_no_success(nodes, action):
    assert _agent(action, "nobody") == 1


def test_agent_tells_whom_it_can_fence(nodes, capsys):
    assert _agent("list") == 0
    assert capsys.readouterr().out == "storage,\nstorage2,\n"
    assert _agent("monitor") == 0
    assert _agent("metadata") == 0


def test_power_that_cannot_be_cut_is_no_success(nodes):
    nodes[0].kernel.cut_power = lambda: None
    assert _agent("reboot") == 1
