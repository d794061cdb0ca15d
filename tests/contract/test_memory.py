# SPDX-License-Identifier: Apache-2.0
"""The target in memory keeps the contract."""

import pytest

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.access.steps import Step
from taikun_cinder.exception import StepFailed
from taikun_cinder.targets.base import Changed
from taikun_cinder.targets.memory import LoginRefusedError, MemoryTarget, Session
from tests.contract.suite import A, B, Lab, TargetContract, grant, lab
from tests.contract.world import LoginRefused, World

__all__ = ["lab"]


class MemoryWorld:
    """Devices and hosts in memory."""

    prefix = "iqn.2010-10.org.openstack:"
    portals = (Portal("192.0.2.1"), Portal("2001:db8::1"))

    def __init__(self) -> None:
        self.memory = MemoryTarget()
        self.target = self.memory
        self._devices = 0

    def device(self) -> str:
        self._devices += 1
        return f"/dev/vg/volume-{self._devices}"

    def in_use(self, device: str) -> bool:
        backstores = (
            self.memory.read(name).backstore for name in self.memory.names("")
        )
        return any(one is not None and one.device == device for one in backstores)

    def login(
        self, name: str, portal: Portal, who: Initiator, credentials: Credentials
    ) -> Session:
        tpg = self.memory.read(name).tpg
        if tpg is None or not any(one.covers(portal) for one in tpg.portals):
            raise LoginRefused(f"nobody listens at {portal}")
        try:
            return self.memory.login(name, who, credentials)
        except LoginRefusedError as error:
            raise LoginRefused from error

    def damage(self, name: str, step: Step) -> None:
        self.memory.take(name, step)


@pytest.fixture
def world() -> World:
    return MemoryWorld()


class TestMemory(TargetContract):
    """The target in memory keeps the contract."""

    def test_fault_at_any_step_is_named_and_the_next_try_goes_on(
        self, lab: Lab
    ) -> None:
        target = lab.target
        assert isinstance(target, MemoryTarget)
        desired = lab.export(grant(A), grant(B))
        whole = lab.steps(desired)
        for count, step in enumerate(whole):
            target.ensure(lab.name, None)
            target.fail_before(count)
            with pytest.raises(StepFailed) as caught:
                target.ensure(lab.name, desired)
            assert lab.name in str(caught.value)
            assert type(step).__name__ in str(caught.value)
            assert "secretsecret" not in str(caught.value)
            outcome = lab.ensure(desired)
            assert outcome == Changed(whole[count:], outcome.observed)
