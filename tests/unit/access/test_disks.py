# SPDX-License-Identifier: Apache-2.0
"""A host keeps the disk that it uses, whatever a repeated attach was answered."""

import pytest

from taikun_cinder.access.attachment import Attachment, Disks
from taikun_cinder.access.disks import lasting, noted
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Credentials, Initiator, Mode, Told

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
PAIR = Credentials("name", "password")
TOLD = Told("iqn.2010-10.org.openstack:volume-1", frozenset())


def _row(number="1", initiator=A, mode=Mode.RW, *, readers_disk=False, told=TOLD):
    return Attachment(
        number,
        "host",
        initiator,
        True,
        f"mark {number}",
        mode,
        PAIR,
        told=told,
        readers_disk=readers_disk,
    )


@pytest.mark.parametrize(
    ("before", "row", "after"),
    [
        (None, _row(told=None), None),
        (None, _row(), Disks(A, Mode.RW)),
        (None, _row(mode=Mode.RO), Disks(A, Mode.RO)),
        (None, _row(readers_disk=True), Disks(A, None, readers_disk=True)),
        (
            Disks(A, Mode.RW),
            _row(readers_disk=True),
            Disks(A, Mode.RW, readers_disk=True),
        ),
        (
            Disks(A, None, readers_disk=True),
            _row(),
            Disks(A, Mode.RW, readers_disk=True),
        ),
        (Disks(A, Mode.RW), _row(mode=Mode.RO), Disks(A, Mode.RW)),
        (None, _row("undecided"), Disks(A, Mode.RO)),
    ],
)
def test_disks_of_a_row_are_noted_beside_those_of_before(before, row, after):
    others = {"9": Disks(B, Mode.RO)}
    known = {**others, row.id: before} if before else others
    found = noted(known, [row], {"mark undecided"})
    assert found == ({**others, row.id: after} if after else others)


@pytest.mark.parametrize(
    ("rows", "how", "left"),
    [
        ([_row()], {}, Disks(A, Mode.RW)),
        ([], {}, None),
        ([], {"missing": {"1"}}, Disks(A, Mode.RW)),
        ([_row(initiator=B)], {}, None),
        ([_row()], {"renewed": {"1"}}, None),
        ([_row()], {"lowered": {"mark 1"}}, Disks(A, None)),
        ([Attachment("1", "host", A, connected=False)], {}, None),
    ],
)
def test_disks_last_as_long_as_their_attachment(rows, how, left):
    how = {"missing": (), "lowered": (), "renewed": (), **how}
    assert lasting({"1": Disks(A, Mode.RW)}, rows, **how).get("1") == left


def test_only_the_main_disk_for_writing_is_given_up():
    had = Disks(A, Mode.RO, readers_disk=True)
    assert lasting({"1": had}, [_row()], (), {"mark 1"}, ()) == {"1": had}


def test_attach_that_is_repeated_notes_what_its_own_host_has():
    rows = [_row(), _row("2", B), _row("3"), _row("4")]
    ledger = Ledger(ended={rows[2].key: 1}).attach(rows, A, "mark 4", None, 1)
    ledger = ledger.attach(rows, A, "mark 5", Mode.RO, 2, readers_disk=True)
    assert ledger.disks == {"1": Disks(A, Mode.RW), "4": Disks(A, Mode.RW)}
    ledger = Ledger().attach([], A, "mark 4", None, 1)
    ledger = ledger.attach(rows[3:], A, "mark 5", Mode.RO, 2, readers_disk=True)
    assert ledger.disks == {"4": Disks(A, Mode.RO)}


def test_what_is_remembered_lasts_when_the_rows_are_read():
    had = {"1": Disks(A, Mode.RW), "2": Disks(B, Mode.RW)}
    missing = Ledger(disks=had, absent={A: 1, B: 2}, attachments={B: frozenset("2")})
    pruned = missing.prune([_row()])
    assert pruned.disks == had
    assert pruned.absent == {A: 1}
    assert pruned.attachments == {A: {"1"}}
    assert Ledger(disks=had).prune([_row()]).disks == {"1": had["1"]}


def test_main_disk_goes_with_a_new_connector_or_who_asks_to_read():
    had = {"1": Disks(A, Mode.RW)}
    ended = Ledger(disks=had, ended={_row().key: 1})
    assert ended.prune([_row()]).disks == had
    again = Ledger(disks=had, ended={("1", "mark of before"): 1})
    assert again.prune([_row()]).disks == {}
    reads = Ledger(disks=had).attach([], A, "mark 1", Mode.RO, 1, reads=True)
    assert reads.prune([_row()]).disks == {"1": Disks(A, None)}
    writes = Ledger(disks=had).attach([], A, "mark 1", Mode.RO, 1)
    assert writes.prune([_row()]).disks == had
