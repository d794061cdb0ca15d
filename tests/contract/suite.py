# SPDX-License-Identifier: Apache-2.0
"""The contract that any target must keep. Each call is repeated, as it can be.

Subclass it in a module that pytest collects, beside a fixture ``lab``.
"""

import dataclasses
import ipaddress

import pytest

from taikun_cinder.access.model import (
    Credentials,
    Export,
    ExportState,
    Grant,
    Initiator,
    Mode,
)
from taikun_cinder.targets.base import Result
from taikun_cinder.targets.inspection import Inspection, Reservation
from tests.contract.world import LoginRefused, Session, World

A, B, C = (Initiator(f"iqn.2026-11.com.example:{host}") for host in "abc")


def grant(initiator: Initiator, mode: Mode = Mode.RW, secret: str = "") -> Grant:
    """Give a grant with the initiator's own credentials."""
    host = initiator.name[-1]
    return Grant(
        initiator, Credentials(f"user{host}", f"{secret}secretsecret{host}"), mode
    )


def reader(initiator: Initiator, mode: Mode | None = None) -> Grant:
    """Give a grant with the readers' disk, and with the main one if it has a mode."""
    return dataclasses.replace(grant(initiator), mode=mode, readers_disk=True)


class Lab:
    """A world with one volume in it."""

    def __init__(self, world: World) -> None:
        self.world, self.target = world, world.target
        self.name = f"{world.prefix}volume-1"
        self.device = world.device()

    def export(self, *grants: Grant, serial: str = "0123456789abcdef") -> Export:
        portals = frozenset(self.world.portals[:1])
        return Export(self.name, self.device, serial, portals, frozenset(grants))

    def ensure(self, desired: Export | None) -> Result:
        """Make it so, see that it is so, and that doing it again does nothing."""
        result = self.target.ensure(self.name, desired)
        assert self.target.findings(self.name, desired) == ()
        assert (result.left, result.withheld) == ((), frozenset())
        shown = self.target.read(self.name)
        assert shown.target == self.name
        if desired is not None:
            assert (shown.device, shown.serial) == (desired.device, desired.serial)
            assert shown.hosts.keys() == desired.grant_of.keys()
            for initiator, grant in desired.grant_of.items():
                host = shown.hosts[initiator]
                # Who has it as a disk may keep the main disk to read until he logs out.
                held = grant.mode is None and host.connected and host.mode is Mode.RO
                assert held or host.mode is grant.mode
                assert host.credentials == grant.credentials
                assert host.readers_disk is grant.readers_disk
        assert self.target.ensure(self.name, desired) == Result()
        assert self.target.read(self.name) == shown
        return result

    def connected(self) -> frozenset[Initiator]:
        """Give the initiators that are logged in."""
        return self.target.read(self.name).connected

    def login(self, grant: Grant, lun: int | None = None) -> Session:
        """Log a host in, to use the disk with a LUN: its main one, if it has that."""
        if lun is None:
            lun = 1 if grant.mode is None else 0
        portal, pair = self.world.portals[0], grant.credentials
        return self.world.login(self.name, portal, grant.initiator, pair, lun)

    def refused(self, grant: Grant) -> None:
        with pytest.raises(LoginRefused):
            self.login(grant)


class TargetContract:
    """The contract that any target must keep."""

    def test_what_is_not_there_reads_as_nothing(self, lab: Lab) -> None:
        assert lab.target.read(lab.name) == ExportState(lab.name)
        assert lab.connected() == frozenset()
        assert lab.target.names(lab.world.prefix) == frozenset()
        assert lab.target.ensure(lab.name, None) == Result()

    def test_export_without_grants_lets_nobody_in(self, lab: Lab) -> None:
        assert lab.ensure(lab.export()).changes
        assert lab.target.names(lab.world.prefix) == {lab.name}
        assert lab.world.in_use(lab.device)
        lab.refused(grant(A))

    def test_removal_leaves_nothing_and_ends_sessions(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        assert lab.ensure(None).changes
        assert lab.target.read(lab.name) == ExportState(lab.name)
        assert lab.target.names(lab.world.prefix) == frozenset()
        assert not session.alive
        assert not lab.world.in_use(lab.device)

    def test_hosts_share_one_disk(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A), grant(B)))
        first, second = lab.login(grant(A)), lab.login(grant(B))
        assert lab.connected() == {A, B}
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
        assert lab.connected() == {A}

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

    def test_readers_have_a_disk_of_their_own_with_the_same_data(
        self, lab: Lab
    ) -> None:
        lab.ensure(lab.export(grant(A), reader(B)))
        writing, reading = lab.login(grant(A)), lab.login(reader(B))
        for content in (b"first", b"second", b"third"):
            writing.write(content)
            assert reading.read() == content
        with pytest.raises(OSError, match=r".*"):
            reading.write(b"from b")
        assert writing.read() == b"third"
        assert reading.serial not in ("", writing.serial)
        with pytest.raises(LoginRefused):
            lab.login(Grant(B, grant(A).credentials, None, readers_disk=True))

    def test_one_host_has_both_disks_and_each_goes_alone(self, lab: Lab) -> None:
        lab.ensure(lab.export(reader(A)))
        reading = lab.login(reader(A))
        lab.ensure(lab.export(reader(A, Mode.RW)))
        writing = reading.other(0)
        writing.write(b"at once")
        assert reading.read() == b"at once"
        lab.ensure(lab.export(reader(A)))
        with pytest.raises(OSError, match=r".*"):
            writing.write(b"too late")
        assert reading.read() == b"at once"
        lab.ensure(lab.export(reader(A, Mode.RW)))
        lab.ensure(lab.export(grant(A)))
        writing.write(b"still here")
        with pytest.raises(OSError, match=r".*"):
            reading.read()
        assert (writing.alive, reading.alive) == (True, True)

    def test_the_last_reader_takes_its_disk_along_and_writers_do_not_feel_it(
        self, lab: Lab
    ) -> None:
        lab.ensure(lab.export(grant(A), reader(B)))
        writing = lab.login(grant(A))
        serial = lab.login(reader(B)).serial
        lab.ensure(lab.export(grant(A)))
        writing.write(b"still here")
        lab.ensure(lab.export(grant(A), reader(C)))
        assert lab.login(reader(C)).serial == serial
        lab.ensure(None)
        assert not lab.world.in_use(lab.device)

    def test_a_protected_host_and_a_reader_are_told_apart(self, lab: Lab) -> None:
        lab.ensure(lab.export(grant(A, Mode.RO), reader(B), reader(C, Mode.RO)))
        for given in (grant(A, Mode.RO), reader(B), reader(C, Mode.RO)):
            session = lab.login(given)
            with pytest.raises(OSError, match=r".*"):
                session.write(b"no")
            session.logout()  # a host takes a disk that began read-only for that
        lab.ensure(lab.export(grant(A), reader(B)))
        lab.login(grant(A)).write(b"yes")

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

    @pytest.mark.parametrize("about", [None, [A, B, C]])
    def test_it_is_told_who_had_logged_out_when_its_access_ended(
        self, lab: Lab, about: list[Initiator] | None
    ) -> None:
        lab.ensure(lab.export(grant(A), grant(B), grant(C)))
        lab.login(grant(A))
        lab.login(grant(B)).logout()
        remaining = lab.export(grant(C))
        result = lab.target.ensure(lab.name, remaining, about)
        assert result.logged_out == {B}
        assert lab.target.ensure(lab.name, remaining, about) == Result()
        assert lab.target.ensure(lab.name, None).logged_out == {C}

    @pytest.mark.parametrize(
        "name",
        ["a/b", "", "..", "x" * 300, "iqn.2026-11.com.exämple:a", "\ud800", "\0"],
        ids=ascii,
    )
    def test_end_of_access_that_nobody_can_have_changes_nothing(
        self, lab: Lab, name: str
    ) -> None:
        lab.ensure(lab.export(grant(A)))
        session = lab.login(grant(A))
        nobody = [Initiator(name)]
        assert lab.target.ensure(lab.name, lab.export(grant(A)), nobody) == Result()
        assert session.alive

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
        assert lab.target.read(other).connected == frozenset()
        lab.target.ensure(other, None)
        assert session.alive
        assert lab.target.names(lab.world.prefix) == {lab.name}

    def test_details_tell_portals_and_where_sessions_come_from(self, lab: Lab) -> None:
        assert lab.target.inspect(lab.name) == Inspection()
        lab.ensure(lab.export(grant(A), grant(B)))
        session = lab.login(grant(A))
        details = lab.target.inspect(lab.name)
        assert details.portals == frozenset(lab.world.portals[:1])
        assert details.addresses.keys() == {A}
        assert ipaddress.ip_address(details.addresses[A])
        assert details.reservation == Reservation()
        session.logout()
        assert lab.target.inspect(lab.name).addresses == {}

    def test_revoked_host_is_out_and_no_other_feels_it(self, lab: Lab) -> None:
        export = lab.export(grant(A), grant(B, Mode.RO), reader(C))
        lab.ensure(export)
        out, stays, reads = (lab.login(one) for one in (grant(A), grant(B), reader(C)))
        assert lab.target.revoke(lab.name, A)
        assert not out.alive
        with pytest.raises(OSError, match=r".*"):
            out.write(b"after the fence")
        lab.refused(grant(A))
        assert stays.alive
        assert reads.alive
        assert lab.target.read(lab.name).hosts.keys() == {B, C}
        assert not lab.target.revoke(lab.name, A)
        assert not lab.target.revoke(f"{lab.world.prefix}volume-2", A)
