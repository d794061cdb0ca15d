# SPDX-License-Identifier: Apache-2.0
"""The LIO in memory keeps the contract."""

import dataclasses

import pytest

from taikun_cinder.access.model import Credentials, Initiator, Mode, Portal
from taikun_cinder.exception import StepFailed
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.steps import AddPortal, Step
from tests.contract.lio import LioContract, LioLab
from tests.contract.memory import (
    LoginRefusedError,
    MemoryKernel,
    MemoryTarget,
    Session,
)
from tests.contract.suite import A, B, C, grant, reader
from tests.contract.world import LoginRefused


class MemoryWorld:
    """Devices and hosts in memory."""

    prefix = "iqn.2010-10.org.openstack:"
    portals = (Portal("192.0.2.1"), Portal("2001:db8::1"))

    def __init__(self) -> None:
        self.target = MemoryTarget()
        self.kernel = self.target.kernel
        self._devices = 0

    def device(self) -> str:
        self._devices += 1
        return f"/dev/vg/volume-{self._devices}"

    def in_use(self, device: str) -> bool:
        states = [self.kernel.read(name) for name in self.kernel.names("")]
        return any(
            backstore is not None and backstore.device == device
            for state in states
            for backstore in (state.backstore, state.readers)
        )

    def login(
        self,
        name: str,
        portal: Portal,
        initiator: Initiator,
        credentials: Credentials,
        lun: int = 0,
    ) -> Session:
        tpg = self.kernel.read(name).tpg
        if tpg is None or not any(there.covers(portal) for there in tpg.portals):
            raise LoginRefused(f"nobody listens at {portal}")
        try:
            return self.kernel.login(name, initiator, credentials, lun)
        except LoginRefusedError as error:
            raise LoginRefused from error

    def damage(self, name: str, step: Step) -> None:
        self.kernel.take(name, step)


@pytest.fixture
def lab() -> LioLab:
    """Memory with one volume in it."""
    return LioLab(MemoryWorld())


class TestMemory(LioContract):
    """The LIO in memory keeps the contract."""

    def test_fault_at_any_step_is_named_and_the_next_try_goes_on(
        self, lab: LioLab
    ) -> None:
        kernel = lab.kernel
        assert isinstance(kernel, MemoryKernel)
        desired = lab.export(grant(A), grant(B))
        whole = lab.steps(desired)
        for count, step in enumerate(whole):
            lab.target.ensure(lab.name, None)
            kernel.fail_before(count)
            with pytest.raises(StepFailed) as caught:
                lab.target.ensure(lab.name, desired)
            assert lab.name in str(caught.value)
            assert type(step).__name__ in str(caught.value)
            assert "secretsecret" not in str(caught.value)
            assert lab.ensure(desired).changes == tuple(map(str, whole[count:]))

    def test_a_readers_disk_that_cannot_be_had_keeps_nobody_else_out(
        self, lab: LioLab
    ) -> None:
        kernel = lab.kernel
        assert isinstance(kernel, MemoryKernel)
        kernel.lack = "no such module"
        desired = lab.export(grant(A), reader(B), reader(C, Mode.RW))
        result = lab.target.ensure(lab.name, desired)
        assert not result.withheld
        assert result.without_readers_disk == {B, C}
        assert any("no such module" in str(finding) for finding in result.left)
        lab.login(grant(A)).write(b"let in")
        lab.login(grant(C)).write(b"let in too")
        lab.refused(reader(B))
        kernel.lack = ""
        lab.ensure(desired)
        assert lab.login(reader(B)).read() == b"let in too"

    def test_a_readers_disk_that_cannot_be_had_is_told_as_missing(
        self, lab: LioLab
    ) -> None:
        kernel = lab.kernel
        assert isinstance(kernel, MemoryKernel)
        kernel.lack = "no such module"
        (told,) = lab.target.ensure(lab.name, lab.export(grant(A), reader(B))).left
        assert told.kind == Kind.READERS_DISK
        assert told.target == lab.name
        assert "no such module" in told.found
        assert told.wanted == "one"
        assert told.waits

    def test_a_portal_that_another_program_has_is_told_and_keeps_nobody_out(
        self, lab: LioLab
    ) -> None:
        kernel = lab.kernel
        assert isinstance(kernel, MemoryKernel)
        taken, free = MemoryWorld.portals
        kernel.taken.add(taken)
        both = frozenset(MemoryWorld.portals)
        desired = dataclasses.replace(lab.export(grant(A)), portals=both)
        (told,) = lab.target.ensure(lab.name, desired).left
        assert told.kind == Kind.PORTAL
        assert told.target == lab.name
        assert told.initiator is None
        assert "refused" in told.found
        assert told.wanted == str(taken)
        assert told.means == Kind.PORTAL.means
        assert told.step == str(AddPortal(taken))
        assert not told.waits
        pair = grant(A).credentials
        lab.world.login(lab.name, free, A, pair).write(b"let in")
        with pytest.raises(LoginRefused):
            lab.world.login(lab.name, taken, A, pair)
        kernel.taken.clear()
        assert not lab.target.ensure(lab.name, desired).left
        assert lab.world.login(lab.name, taken, A, pair).read() == b"let in"

    def test_an_export_that_has_no_portal_at_all_is_a_failure(
        self, lab: LioLab
    ) -> None:
        kernel = lab.kernel
        assert isinstance(kernel, MemoryKernel)
        kernel.taken.update(MemoryWorld.portals)
        with pytest.raises(StepFailed, match="AddPortal"):
            lab.target.ensure(lab.name, lab.export(grant(A)))
