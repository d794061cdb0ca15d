# SPDX-License-Identifier: Apache-2.0
"""What any target must do. Each call is repeated, to show that it can be.

Subclass it in a module that pytest collects, beside a fixture ``world``.
"""

import dataclasses
import itertools

import pytest

from taikun_cinder.access import steps
from taikun_cinder.access.audit import audit
from taikun_cinder.access.model import Credentials, Export, Grant, Initiator, Mode
from taikun_cinder.access.observed import Observed
from taikun_cinder.targets.base import Changed, Unchanged
from tests.contract.world import LoginRefused, Session, World

A, B, C = (Initiator(f"iqn.2026-11.com.example:{host}") for host in "abc")


def grant(who: Initiator, mode: Mode = Mode.RW, secret: str = "") -> Grant:
    """Give a grant with the initiator's own credentials."""
    host = who.name[-1]
    return Grant(who, Credentials(f"user{host}", f"{secret}secretsecret{host}"), mode)


class Lab:
    """A world with one volume in it."""

    def __init__(self, world: World) -> None:
        self.world, self.target = world, world.target
        self.name = f"{world.prefix}volume-1"
        self.device = world.device()

    def export(self, *grants: Grant, serial: str = "0123456789abcdef") -> Export:
        portals = frozenset(self.world.portals[:1])
        return Export(self.name, self.device, serial, portals, frozenset(grants))

    def ensure(self, desired: Export | None) -> Changed | Unchanged:
        """Make it so, see that it is so, and that doing it again does nothing."""
        outcome = self.target.ensure(self.name, desired)
        observed = self.target.read(self.name)
        assert audit(observed, desired) == ()
        assert outcome.observed == observed
        assert self.target.ensure(self.name, desired) == Unchanged(observed)
        return outcome

    def amend(
        self, desired: Export, *about: Initiator
    ) -> tuple[steps.Step, ...] | None:
        """Let some in or out."""
        return self.target.amend(self.name, desired, about)

    def steps(self, desired: Export) -> tuple[steps.Step, ...]:
        """Make it so from nothing, and give the steps that it took."""
        outcome = self.ensure(desired)
        assert isinstance(outcome, Changed)
        return outcome.steps

    def login(self, one: Grant) -> Session:
        portal = self.world.portals[0]
        return self.world.login(self.name, portal, one.initiator, one.credentials)

    def refused(self, one: Grant) -> None:
        with pytest.raises(LoginRefused):
            self.login(one)


@pytest.fixture
def lab(world: World) -> Lab:
    """A world with one volume in it."""
    return Lab(world)


class TargetContract:
    """What any target must do."""

    def test_what_is_not_there_reads_as_nothing(self, lab: Lab) -> None:
        assert lab.target.read(lab.name) == Observed(lab.name)
        assert lab.target.sessions(lab.name) == frozenset()
        assert lab.target.names(lab.world.prefix) == frozenset()
        assert lab.target.ensure(lab.name, None) == Unchanged(Observed(lab.name))

    def test_export_without_grants_lets_nobody_in(self, lab: Lab) -> None:
        assert isinstance(lab.ensure(lab.export()), Changed)
        assert lab.target.names(lab.world.prefix) == {lab.name}
        assert lab.world.in_use(lab.device)
        lab.refused(grant(A))

    def test_removal_leaves_nothing_and_ends_sessions(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        assert isinstance(lab.ensure(None), Changed)
        assert lab.target.read(lab.name) == Observed(lab.name)
        assert lab.target.names(lab.world.prefix) == frozenset()
        assert not session.alive
        assert not lab.world.in_use(lab.device)

    def test_hosts_share_one_disk(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        first, second = lab.login(grant(A)), lab.login(grant(B))
        assert lab.target.sessions(lab.name) == {A, B}
        first.write(b"from a")
        assert second.read() == b"from a"
        assert first.serial == second.serial == lab.export().serial

    def test_disk_is_the_same_after_a_new_export(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A)))
        lab.login(grant(A)).write(b"before")
        lab.ensure(None)
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        assert (session.read(), session.serial) == (b"before", lab.export().serial)

    def test_nobody_gets_in_with_what_is_not_his(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        lab.refused(Grant(A, grant(B).credentials, Mode.RW))
        lab.refused(grant(A, secret="guessed"))
        lab.refused(grant(C))

    def test_detach_of_one_host_is_not_felt_by_the_other(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        first, second = lab.login(grant(A)), lab.login(grant(B))
        lab.ensure(lab.export(grant(A)))
        first.write(b"still here")
        assert first.alive
        assert not second.alive
        lab.refused(grant(B))
        lab.refused(Grant(A, grant(B).credentials, Mode.RW))
        assert lab.target.sessions(lab.name) == {A}

    def test_host_attached_read_only_cannot_write_from_the_first_moment(
        self, lab: Lab
    ) -> None:
        lab.ensure(lab.export(grant(A), grant(B, Mode.RO)))
        writer, reader = lab.login(grant(A)), lab.login(grant(B))
        writer.write(b"from a")
        with pytest.raises(OSError, match=r".*"):
            reader.write(b"from b")
        assert reader.read() == b"from a"

    def test_mode_changes_under_a_live_session(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        first, second = lab.login(grant(A)), lab.login(grant(B))
        lab.ensure(lab.export(grant(A), grant(B, Mode.RO)))
        with pytest.raises(OSError, match=r".*"):
            second.write(b"from b")
        first.write(b"from a")
        assert (first.alive, second.alive) == (True, True)
        lab.ensure(lab.export(grant(A), grant(B)))
        assert second.alive

    def test_some_are_let_in_and_out_without_a_look_at_the_others(
        self, lab: Lab
    ) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        stays, goes = lab.login(grant(A)), lab.login(grant(B))
        lab.world.damage(lab.name, steps.SetWriteProtect(A, write_protect=True))
        desired = lab.export(grant(A), grant(C, Mode.RO))
        assert lab.amend(desired, B, C) == (
            steps.RemoveAcl(B),
            steps.CreateAcl(C),
            steps.SetCredentials(C, grant(C).credentials),
            steps.MapLun(C, write_protect=True),
        )
        assert (stays.alive, goes.alive) == (True, False)
        lab.login(grant(C)).read()
        lab.refused(grant(B))
        # A was not looked at: that is left to a look at everybody.
        assert audit(lab.target.read(lab.name), desired)
        lab.ensure(desired)
        assert stays.alive

    @pytest.mark.parametrize(
        "damages",
        [
            [steps.SetAttribute("authentication", 0)],
            [steps.UnmapLun(A, 0), steps.RemoveLun(0)],
            [steps.RemoveTarget(), steps.RemoveBackstore()],
        ],
        ids=repr,
    )
    def test_an_export_that_is_not_sound_is_not_amended(
        self, lab: Lab, damages: list[steps.Step]
    ) -> None:
        lab.ensure(lab.export(grant(A)))
        for damage in damages:
            lab.world.damage(lab.name, damage)
        before = lab.target.read(lab.name)
        both = lab.export(grant(A), grant(B))
        assert lab.amend(both, B) is None
        assert lab.target.read(lab.name) == before
        lab.ensure(both)
        assert lab.amend(both, A, B) == ()

    def test_new_credentials_do_not_disturb_the_session_and_bind_the_next(
        self, lab: Lab
    ) -> None:
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        lab.ensure(lab.export(grant(A, secret="new")))
        session.write(b"undisturbed")
        assert session.alive
        session.logout()
        lab.refused(grant(A))
        assert lab.login(grant(A, secret="new")).read() == b"undisturbed"

    @pytest.mark.parametrize(
        "damage",
        [
            steps.SetAttribute("authentication", 0),
            steps.SetAttribute("generate_node_acls", 1),
            steps.SetAttribute("demo_mode_write_protect", 0),
            steps.SetAttribute("prod_mode_write_protect", 1),
            steps.CreateAcl(C),
            steps.SetCredentials(A, Credentials("somebody", "elsessecret1")),
            steps.SetWriteProtect(B, write_protect=False),
            steps.SetWriteProtect(A, write_protect=True),
            steps.UnmapLun(B, 0),
            steps.RemoveAcl(B),
        ],
        ids=repr,
    )
    def test_damage_is_put_right_and_a_live_host_does_not_feel_it(
        self, lab: Lab, damage: steps.Step
    ) -> None:
        desired = lab.export(grant(A), grant(B, Mode.RO))
        lab.ensure(desired)
        session = lab.login(grant(A))
        lab.world.damage(lab.name, damage)
        assert audit(lab.target.read(lab.name), desired)
        assert isinstance(lab.ensure(desired), Changed)
        assert session.alive
        assert lab.target.sessions(lab.name) == {A}
        lab.login(grant(B)).read()

    def test_foreign_portal_goes_when_nobody_is_logged_in(self, lab: Lab) -> None:
        desired = lab.export(grant(A))
        lab.ensure(desired)
        lab.world.damage(lab.name, steps.AddPortal(lab.world.portals[1]))
        lab.world.damage(lab.name, steps.RemovePortal(lab.world.portals[0]))
        lab.ensure(desired)
        assert lab.login(grant(A)).alive

    def test_any_part_of_an_export_is_built_upon(self, lab: Lab) -> None:
        desired = lab.export(grant(A))
        whole = lab.steps(desired)
        lab.ensure(None)
        for count in range(len(whole)):
            for step in itertools.islice(whole, count):
                lab.world.damage(lab.name, step)
            lab.ensure(desired)
            lab.login(grant(A)).logout()
            lab.ensure(None)

    def test_any_part_of_an_export_is_removed(self, lab: Lab) -> None:
        whole = lab.steps(lab.export(grant(A)))
        lab.ensure(None)
        for count in range(len(whole)):
            for step in itertools.islice(whole, count):
                lab.world.damage(lab.name, step)
            assert lab.target.names(lab.world.prefix) == (
                {lab.name} if count else set()
            )
            lab.ensure(None)
            assert not lab.world.in_use(lab.device)

    def test_serial_is_kept_under_a_live_host_and_put_right_after(
        self, lab: Lab
    ) -> None:
        taken = lab.export(grant(A), serial="fedcba9876543210")
        lab.ensure(taken)
        session = lab.login(grant(A))
        desired = lab.export(grant(A), grant(B))
        lab.target.ensure(lab.name, desired)
        assert session.alive
        assert lab.login(grant(B)).serial == taken.serial
        lab.ensure(lab.export())
        lab.ensure(desired)
        assert lab.login(grant(A)).serial == desired.serial

    def test_export_of_another_volume_is_refused(self, lab: Lab) -> None:
        other = dataclasses.replace(lab.export(), target=f"{lab.world.prefix}volume-2")
        with pytest.raises(ValueError, match="volume-1"):
            lab.target.ensure(lab.name, other)
        assert lab.target.names(lab.world.prefix) == frozenset()

    def test_volumes_are_apart(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        other = f"{lab.world.prefix}volume-10"
        export = lab.export(grant(A, secret="other"))
        export = dataclasses.replace(export, target=other, device=lab.world.device())
        lab.target.ensure(other, export)
        assert lab.target.names(lab.world.prefix) == {lab.name, other}
        assert lab.target.sessions(other) == frozenset()
        lab.target.ensure(other, None)
        assert session.alive
        assert lab.target.names(lab.world.prefix) == {lab.name}
