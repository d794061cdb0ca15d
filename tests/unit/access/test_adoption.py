# SPDX-License-Identifier: Apache-2.0
"""Where there is no ledger, what the target shows is taken over, and no more."""

import hmac

from taikun_cinder.access.adoption import adopted
from taikun_cinder.access.attachment import Attachment, Connection, Disks
from taikun_cinder.access.disks import kept
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    HostState,
    Initiator,
    Mode,
    Sealed,
)

A, B, C = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "abc")
PAIR, OTHER = Credentials("name", "password"), Credentials("other", "secret")
NOW = 7.0


def _row(number, initiator, credentials=None, *, identity="mark", connected=True):
    mark = f"{identity} {number}" if identity else None
    return Attachment(
        f"{number}", "host", initiator, connected, mark, Mode.RW, credentials
    )


def _sealed(credentials):
    digest = hmac.digest(b"key", credentials.password.encode(), "sha256")
    return Sealed(credentials.username, digest, b"key")


def _answer(number, initiator, credentials=PAIR):
    grant = Grant(initiator, credentials, Mode.RW)
    return Connection(f"mark {number}", grant, NOW)


def test_pair_that_a_row_lacks_is_its_hosts_by_the_target_or_by_another_row():
    row, another = _row(1, A), _row(2, A, PAIR)
    shown = {A: HostState(Mode.RW, PAIR, connected=False)}
    assert adopted([row], shown, NOW) == ((_answer(1, A),), {A: PAIR})
    assert adopted([row, another], {}, NOW) == ((_answer(1, A),), {})
    # What nobody knows the password of is no better than another row's.
    unknown = {A: HostState(Mode.RW, _sealed(OTHER), connected=False)}
    ((made,), _) = adopted([row, another], unknown, NOW)
    assert made == _answer(1, A)
    ((made,), had) = adopted([row], unknown, NOW)
    assert (made.grant.credentials, had[A].known) == (Credentials("other", ""), False)
    # Another host's is none of its.
    assert adopted([row, _row(2, B, OTHER)], {}, NOW) == ((), {})


def test_row_that_says_all_or_that_names_no_connection_needs_nothing():
    shown = {A: HostState(Mode.RW, PAIR, connected=True)}
    for row in _row(1, A, PAIR), _row(1, A, identity=""), _row(1, A, connected=False):
        assert adopted([row], shown, NOW) == ((), {A: PAIR})


def test_host_without_a_row_is_taken_over_with_the_disks_that_it_sees():
    hosts = {
        A: HostState(Mode.RO, PAIR, connected=True),
        B: HostState(None, OTHER, connected=True, readers_disk=True),
        C: HostState(None, OTHER, connected=True),
    }
    made, _ = adopted([], hosts, NOW)
    assert [(one.grant, one.since) for one in made] == [
        (Grant(A, PAIR, Mode.RO), NOW),
        (Grant(B, OTHER, None, readers_disk=True), NOW),
    ]
    # One that sees nothing may be that of a row which names no host.
    made, _ = adopted([_row(1, None)], hosts, NOW)
    assert made[2].grant == Grant(C, OTHER, Mode.RW)


def test_attachment_has_the_disks_that_are_remembered_of_it():
    had = Disks(A, Mode.RW)
    first, second = kept({"1": had}, [_row(1, A), _row(2, A)])
    assert (first.keeps, second.keeps) == (had, Disks())
