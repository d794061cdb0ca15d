# SPDX-License-Identifier: Apache-2.0
"""The contract of a target by LIO: half-built exports, and damage.

The node's LIO and the one in memory keep it, so that what the tests with the one in
memory show holds for the kernel.
"""

import functools
import itertools

import pytest

from taikun_cinder.access.model import Credentials, Export, Grant, Initiator, Mode
from taikun_cinder.targets.base import Result
from taikun_cinder.targets.lio import disk_steps, steps
from taikun_cinder.targets.lio.plan import personal, plan
from taikun_cinder.targets.lio.steps import after
from tests.contract.suite import (
    A,
    B,
    C,
    Lab,
    TargetContract,
    grant,
    reader,
)
from tests.contract.world import LioWorld, Readable

D = Initiator("iqn.2026-11.com.example:d")


class LioLab(Lab):
    """A world with one volume in it, and a LIO to look into and to damage."""

    world: LioWorld

    @property
    def kernel(self) -> Readable:
        """The LIO itself."""
        return self.world.kernel

    def ensure(self, desired: Export | None) -> Result:
        """See also that the steps did what they are said to do, and nothing else."""
        before = self.kernel.read(self.name, search=desired is None)
        expected = plan(before, desired).steps
        result = super().ensure(desired)
        assert result.changes == tuple(map(str, expected))
        now = self.kernel.read(self.name)
        assert now == functools.reduce(after, expected, before)
        return result

    def steps(self, desired: Export) -> tuple[steps.Step, ...]:
        """Make it so from nothing, and give the steps that it took."""
        taken = plan(self.kernel.read(self.name), desired).steps
        self.ensure(desired)
        return taken


class LioContract(TargetContract):
    """The contract of a target by LIO."""

    def test_some_are_let_in_and_out_without_a_look_at_the_others(
        self, lab: LioLab
    ) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        stays, goes = lab.login(grant(A)), lab.login(grant(B))
        lab.world.damage(lab.name, steps.SetWriteProtect(A, write_protect=True))
        desired = lab.export(grant(A), grant(C))
        result = lab.target.ensure(lab.name, desired, [B, C])
        expected = (
            steps.RemoveAcl(B),
            steps.CreateAcl(C),
            steps.SetCredentials(C, grant(C).credentials),
            steps.MapLun(C, write_protect=False),
        )
        assert result == Result(tuple(map(str, expected)))
        assert (stays.alive, goes.alive) == (True, False)
        lab.login(grant(C)).read()
        lab.refused(grant(B))
        # A was not looked at: only an ensure for all hosts does that.
        assert lab.target.findings(lab.name, desired)
        lab.ensure(desired)
        assert stays.alive

    def test_readers_come_and_go_without_a_look_at_the_others(
        self, lab: LioLab
    ) -> None:
        lab.ensure(lab.export(grant(A), grant(B, Mode.RO), reader(C)))
        lab.world.damage(lab.name, steps.SetWriteProtect(A, write_protect=True))
        now = lab.export(grant(A), reader(B, Mode.RO), reader(C))
        result = lab.target.ensure(lab.name, now, [B])
        assert result.changes == (str(steps.MapLun(B, write_protect=True, index=1)),)
        now = lab.export(grant(A), reader(B, Mode.RO))
        result = lab.target.ensure(lab.name, now, [C])
        assert result.changes == (str(steps.RemoveAcl(C)),)

    @pytest.mark.parametrize(
        "damages",
        [
            [steps.SetAttribute("authentication", 0)],
            [steps.UnmapLun(A, 0), steps.RemoveLun(0)],
            [steps.RemoveTarget(), disk_steps.RemoveBackstore()],
        ],
        ids=repr,
    )
    def test_an_export_that_is_not_sound_is_looked_at_as_a_whole(
        self, lab: LioLab, damages: list[steps.Step]
    ) -> None:
        lab.ensure(lab.export(grant(A)))
        for damage in damages:
            lab.world.damage(lab.name, damage)
        both = lab.export(grant(A), grant(B))
        observed = lab.kernel.read(lab.name)
        assert personal(observed, both, [B]) is None
        result = lab.target.ensure(lab.name, both, [B])
        assert result.changes == tuple(map(str, plan(observed, both).steps))
        assert lab.ensure(both) == Result()
        assert lab.target.ensure(lab.name, both, [A, B]) == Result()

    @pytest.mark.parametrize(
        "damage",
        [
            steps.SetAttribute("authentication", 0),
            steps.SetAttribute("generate_node_acls", 1),
            steps.SetAttribute("demo_mode_write_protect", 0),
            steps.SetAttribute("prod_mode_write_protect", 1),
            steps.CreateAcl(D),
            steps.SetCredentials(A, Credentials("somebody", "elsessecret1")),
            steps.SetWriteProtect(B, write_protect=False),
            steps.SetWriteProtect(A, write_protect=True),
            steps.UnmapLun(B, 0),
            steps.RemoveAcl(B),
            steps.SetAttribute("demo_mode_discovery", 1),
            disk_steps.SetRefused("emulate_caw", refused=False),
            disk_steps.SetRefused("max_write_same_len", refused=False),
            steps.UnmapLun(C, 1),
            steps.MapLun(C, write_protect=False),
            steps.MapLun(A, write_protect=True, index=1),
        ],
        ids=repr,
    )
    def test_damage_is_put_right_and_a_live_host_does_not_feel_it(
        self, lab: LioLab, damage: steps.Step
    ) -> None:
        desired = lab.export(grant(A), grant(B, Mode.RO), reader(C))
        lab.ensure(desired)
        session, reading = lab.login(grant(A)), lab.login(reader(C))
        lab.world.damage(lab.name, damage)
        assert lab.target.findings(lab.name, desired)
        assert lab.ensure(desired).changes
        session.write(b"undisturbed")
        assert (session.alive, reading.alive) == (True, True)
        lab.login(grant(B)).read()
        assert lab.login(reader(C)).read() == b"undisturbed"

    @pytest.mark.parametrize("before", [grant(B), reader(B, Mode.RW)], ids=repr)
    def test_who_may_only_read_from_now_on_reads_the_volume_by_each_of_its_disks(
        self, lab: LioLab, before: Grant
    ) -> None:
        lab.ensure(lab.export(before))
        main = lab.login(before)
        main.write(b"the volume's")
        lab.ensure(lab.export(reader(B)))
        with pytest.raises(OSError, match=r".*"):
            main.write(b"of who may only read")
        # Not what the kernel answers where there is no LUN 0: its memory.
        assert main.read() == b"the volume's"
        assert main.alive
        assert main.other(1).read() == b"the volume's"
        assert lab.ensure(lab.export(reader(B))) == Result()
        main.logout()
        unmap = steps.UnmapLun(B, 0)
        assert str(unmap) in lab.ensure(lab.export(reader(B))).changes
        assert lab.login(reader(B)).read() == b"the volume's"

    def test_foreign_portal_goes_when_nobody_is_logged_in(self, lab: LioLab) -> None:
        desired = lab.export(grant(A))
        lab.ensure(desired)
        lab.world.damage(lab.name, steps.AddPortal(lab.world.portals[1]))
        lab.world.damage(lab.name, steps.RemovePortal(lab.world.portals[0]))
        lab.ensure(desired)
        assert lab.login(grant(A)).alive

    def test_any_part_of_an_export_is_built_upon(self, lab: LioLab) -> None:
        desired = lab.export(grant(A), reader(B))
        whole = lab.steps(desired)
        lab.ensure(None)
        for count in range(len(whole)):
            for step in itertools.islice(whole, count):
                lab.world.damage(lab.name, step)
            lab.ensure(desired)
            lab.login(grant(A)).logout()
            lab.login(reader(B)).logout()
            lab.ensure(None)

    def test_any_part_of_an_export_is_removed(self, lab: LioLab) -> None:
        whole = lab.steps(lab.export(grant(A), reader(B)))
        lab.ensure(None)
        for count in range(len(whole)):
            for step in itertools.islice(whole, count):
                lab.world.damage(lab.name, step)
            assert lab.target.names(lab.world.prefix) == (
                {lab.name} if count else set()
            )
            lab.ensure(None)
            assert not lab.world.in_use(lab.device)
