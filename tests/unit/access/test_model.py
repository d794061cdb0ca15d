# SPDX-License-Identifier: Apache-2.0
"""The nouns of access: they compare as iSCSI does, and never show a secret."""

import pytest

from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    HostState,
    Initiator,
    Mode,
    Portal,
)
from taikun_cinder.targets.lio.steps import SetCredentials

A = Initiator("iqn.2026-11.com.example:a")
SECRET = Credentials("user", "secret")


def _export(*portals, grants=()):
    return Export("iqn:volume-1", "/dev/x", "1", frozenset(portals), frozenset(grants))


def test_initiator_is_the_same_in_any_case():
    lower = Initiator("iqn.2026-11.com.example:host")
    assert lower == Initiator(" IQN.2026-11.COM.Example:Host")
    assert len({lower, Initiator("IQN.2026-11.COM.EXAMPLE:HOST")}) == 1


def test_different_initiators_differ():
    assert Initiator("iqn.2026-11.com.example:a") != Initiator(
        "iqn.2026-11.com.example:b"
    )


def test_password_is_never_shown():
    export = _export(grants=[Grant(A, SECRET, Mode.RW)])
    for value in (SECRET, export, SetCredentials(A, SECRET)):
        assert "secret" not in f"{value} {value!r}"


def test_portal_is_the_same_however_it_is_written():
    assert Portal("[2001:DB8::0:1]") == Portal("2001:db8::1")
    assert str(Portal("2001:db8::1")) == "[2001:db8::1]:3260"
    assert str(Portal("192.0.2.1", 3261)) == "192.0.2.1:3261"


@pytest.mark.parametrize(
    ("address", "port"), [("storage", 3260), ("192.0.2.1", 0), ("192.0.2.1", 65536)]
)
def test_portal_that_nobody_can_listen_at_is_refused(address, port):
    with pytest.raises(ValueError, match=rf"storage|{port} is no TCP port"):
        Portal(address, port)
    assert [Portal("192.0.2.1", edge).port for edge in (1, 65535)] == [1, 65535]


def test_grant_says_the_disks_that_it_shows_and_shows_one_at_least():
    assert Grant(A, SECRET, Mode.RW, True).words == "rw and the readers' disk"
    with pytest.raises(ValueError, match=f"grant for {A} that shows it no disk"):
        Grant(A, SECRET, None)


def test_portal_covers_itself_and_anywhere_covers_all_of_its_kind():
    one, anywhere = Portal("192.0.2.1"), Portal("0.0.0.0")  # noqa: S104
    assert one.covers(one)
    assert anywhere.covers(one)
    assert not one.covers(anywhere)
    assert not anywhere.covers(Portal("192.0.2.1", 3261))
    assert not anywhere.covers(Portal("::1"))
    assert not one.covers(Portal("192.0.2.2"))


def test_export_with_portals_that_clash_is_refused():
    both = r"nobody can listen at 0\.0\.0\.0:3260 and 192\.0\.2\.1:3260$"
    with pytest.raises(ValueError, match=both):
        _export(Portal("0.0.0.0"), Portal("192.0.2.1"))  # noqa: S104
    _export(Portal("0.0.0.0"), Portal("192.0.2.1", 3261), Portal("::1"))  # noqa: S104


def test_export_with_two_grants_for_one_initiator_is_refused():
    b, c = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "bc")
    twice = [Grant(one, SECRET, mode) for one in (A, b) for mode in Mode]
    with pytest.raises(ValueError, match=f"several grants for {A}, {b}$"):
        _export(grants=[*twice, Grant(c, SECRET, Mode.RW)])


@pytest.mark.parametrize(
    ("mode", "readers_disk", "shown", "left"),
    [
        (Mode.RW, True, HostState(Mode.RW, readers_disk=True), (Mode.RW, True)),
        (Mode.RW, True, HostState(Mode.RO, readers_disk=False), (Mode.RO, False)),
        (Mode.RO, False, HostState(Mode.RW, readers_disk=True), (Mode.RO, False)),
        (Mode.RW, True, HostState(None, readers_disk=True), (None, True)),
        (None, True, HostState(Mode.RW, readers_disk=True), (None, True)),
        (None, True, HostState(Mode.RW, readers_disk=False), None),
        (Mode.RW, False, HostState(None, readers_disk=True), None),
    ],
)
def test_host_keeps_no_more_than_it_has(mode, readers_disk, shown, left):
    reduced = Grant(A, SECRET, mode, readers_disk).reduced(shown)
    assert reduced == (left and Grant(A, SECRET, *left))


def test_host_has_by_two_grants_what_either_shows():
    readers = Grant(A, SECRET, None, readers_disk=True)
    for one, other in (
        (readers, Grant(A, SECRET, Mode.RO)),
        (Grant(A, SECRET, Mode.RO), readers),
    ):
        assert one.joined(other) == Grant(A, SECRET, Mode.RO, readers_disk=True)
    both = Grant(A, SECRET, Mode.RO).joined(Grant(A, SECRET, Mode.RW))
    assert both == Grant(A, SECRET, Mode.RW)


def test_without_the_readers_disk_those_are_left_that_have_the_main_one():
    export = _export(
        grants=[
            Grant(A, SECRET, Mode.RO, readers_disk=True),
            Grant(Initiator("iqn.2026-11.com.example:b"), SECRET, None, True),
        ]
    )
    assert export.without_readers_disk().grants == {Grant(A, SECRET, Mode.RO)}
