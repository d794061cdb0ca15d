# SPDX-License-Identifier: Apache-2.0
"""What an attachment and an answer say of the disks of a host, and of each other."""

import dataclasses

import pytest

from taikun_cinder.access.attachment import (
    Attachment,
    Connection,
    Disks,
    read_only_by_nameless,
)
from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")


def _row(mode, *, readers_disk=False, keeps=None):
    row = Attachment("1", "host", A, True, mode=mode, readers_disk=readers_disk)
    return row.keeping(keeps)


@pytest.mark.parametrize(
    ("mode", "readers_disk", "words"),
    [
        (Mode.RW, True, "the main disk (rw) and the readers' disk"),
        (Mode.RO, False, "the main disk (ro)"),
        (None, True, "the readers' disk"),
    ],
)
def test_disks_are_told_in_words(mode, readers_disk, words):
    assert Disks(A, mode, readers_disk).words == words


@pytest.mark.parametrize(
    ("mode", "readers_disk", "before", "more"),
    [
        (Mode.RW, False, None, False),
        (Mode.RO, True, None, False),
        (Mode.RW, False, Disks(A, Mode.RO), False),
        (Mode.RO, True, Disks(A, None, readers_disk=True), False),
        (Mode.RO, True, Disks(A, Mode.RW), True),
        (Mode.RO, False, Disks(A, Mode.RW), True),
        (Mode.RW, False, Disks(A, None, readers_disk=True), True),
        (Mode.RO, False, Disks(B, Mode.RW), False),
    ],
)
def test_host_may_have_more_than_its_row_says(mode, readers_disk, before, more):
    row = _row(mode, readers_disk=readers_disk, keeps=before)
    assert row.keeps_more is more


def test_answer_is_for_a_row_of_its_server_that_was_there():
    row = Attachment("1", "host", None, connected=False, instance_uuid="one")
    grant = Grant(A, Credentials("name", "password"), Mode.RW)

    def may_be(server, *rows):
        answer = Connection("mark", grant, 0, server=server, rows=frozenset(rows))
        return answer.may_be_of(row)

    assert may_be("one")
    assert may_be("one", "1", "2")
    assert not may_be("one", "2")
    assert not may_be("another")
    assert not may_be("another", "1")


@pytest.mark.parametrize(
    ("mode", "undecided", "writes"),
    [(Mode.RW, False, True), (Mode.RO, False, False), (Mode.RO, True, True)],
)
def test_host_may_come_to_write_as_long_as_its_row_does_not_say(
    mode, undecided, writes
):
    grant = Grant(A, Credentials("name", "password"), mode)
    assert Connection("mark", grant, 0, undecided=undecided).writes is writes


def test_reserved_row_and_one_that_names_its_host_are_nobodys():
    row = _row(Mode.RW)
    nameless = dataclasses.replace(row, initiator=None)
    assert nameless.is_nameless
    assert not row.is_nameless
    assert not dataclasses.replace(nameless, connected=False).is_nameless


def test_answer_is_for_its_server_or_for_all_that_it_may_be_for():
    grant = Grant(A, Credentials("name", "password"), Mode.RW)
    answer = Connection("mark", grant, 0, server="one")
    assert answer.servers == {"one"}
    several = dataclasses.replace(answer, candidates=frozenset({"two", "three"}))
    assert several.servers == {"two", "three"}


def test_os_attach_holds_to_reading_what_can_only_be_its_own():
    reads, also_reads, writes = (
        Attachment(number, "host", None, connected=True, mode=mode)
        for number, mode in (("1", Mode.RO), ("2", Mode.RO), ("3", Mode.RW))
    )
    first, second = (
        Connection(f"mark {host}", Grant(host, Credentials("name", "word"), Mode.RW), 0)
        for host in (A, B)
    )
    assert read_only_by_nameless([reads], [first]) == [first]
    assert read_only_by_nameless([reads, also_reads], [first, second]) == [
        first,
        second,
    ]
    # Which of the two it is, or whether it may write, cannot be told.
    assert not read_only_by_nameless([reads], [first, second])
    assert not read_only_by_nameless([reads, writes], [first])
    assert not read_only_by_nameless([], [])
    # These are known to be for others, or for nobody any more.
    idle = dataclasses.replace(second, idle=True)
    named = Attachment("4", "host", B, True, instance_uuid="one")
    its = dataclasses.replace(second, server="one")
    assert read_only_by_nameless([reads], [first, idle]) == [first]
    assert read_only_by_nameless([reads, named], [first, its]) == [first]


def test_copy_of_cinders_own_is_not_held_to_what_another_host_reads():
    reads, also_reads = (
        Attachment(number, "host", None, connected=True, mode=Mode.RO)
        for number in ("1", "2")
    )
    grants = [Grant(host, Credentials("name", "word"), Mode.RW) for host in (A, B)]
    old = Connection("mark a", grants[0], 0, server="mark a", connector="a's")
    copy = Connection("mark b", grants[1], 0, connector="b's")
    assert read_only_by_nameless([reads], [old, copy]) == [old]
    # It may be one of the old API whose volume was not reserved.
    assert read_only_by_nameless([reads], [copy]) == [copy]
    assert read_only_by_nameless([reads, also_reads], [old, copy]) == [old, copy]
