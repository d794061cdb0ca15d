# SPDX-License-Identifier: Apache-2.0
"""The guard lets a second server write only where nothing is for one server."""

import pytest

from taikun_cinder.access.contents import Content, Look
from taikun_cinder.access.guard import GuardError, LookFirst, judge, writing
from taikun_cinder.access.model import Initiator, Mode
from taikun_cinder.access.rules import Guard, Use

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
WRITER = Use("one", A, writes=True)
EXT4 = Look((Content("ext4"),))
UNSEEN = Look(failure="it did not answer")
HARM = "server one may write to it, and it has ext4, which is for one server at a time"


def _judge(guard, look=EXT4, servers=("two",), mode=Mode.RW, uses=(WRITER,)):
    return judge(guard, servers, mode, uses, look)


@pytest.mark.parametrize(
    "nothing_to_say",
    [
        {"guard": Guard.OFF},
        {"guard": Guard.DENY, "mode": Mode.RO},
        {"guard": Guard.DENY, "uses": ()},
        {"guard": Guard.DENY, "uses": (Use("one", A, writes=False),)},
        {"guard": Guard.DENY, "servers": ("one",)},
    ],
)
def test_volume_is_looked_at_for_a_second_writer_alone(nothing_to_say):
    mode = nothing_to_say.get("mode", Mode.RW)
    verdict = _judge(look=None, **nothing_to_say)
    assert (verdict.mode, verdict.look, verdict.cause) == (mode, None, "")
    assert not verdict.is_unseen
    with pytest.raises(LookFirst):
        _judge(Guard.WARN, None)


@pytest.mark.parametrize("guard", [Guard.WARN, Guard.RO, Guard.DENY])
def test_what_may_be_shared_is_written_by_several(guard):
    verdict = _judge(guard, Look((Content("gfs2"),)))
    assert (verdict.mode, verdict.cause) == (Mode.RW, "")


def test_second_writer_of_what_is_for_one_server():
    warned = _judge(Guard.WARN)
    assert (warned.mode, warned.cause, warned.is_unseen) == (Mode.RW, HARM, False)
    reads = _judge(Guard.RO)
    assert (reads.mode, reads.cause, reads.writers) == (Mode.RO, HARM, {"one"})
    with pytest.raises(GuardError) as refused:
        _judge(Guard.DENY)
    assert str(refused.value) == HARM
    assert not refused.value.unseen


@pytest.mark.parametrize("guard", [Guard.RO, Guard.DENY])
def test_where_nobody_can_look_nobody_else_gets_in(guard):
    with pytest.raises(GuardError) as refused:
        _judge(guard, UNSEEN)
    assert refused.value.unseen
    assert str(refused.value) == (
        "server one may write to it, and what is on it could not be looked at: "
        "it did not answer"
    )
    assert _judge(Guard.WARN, UNSEEN).is_unseen
    assert _judge(Guard.WARN, UNSEEN).mode is Mode.RW


def test_no_mode_is_given_where_the_writer_itself_may_be_meant():
    with pytest.raises(GuardError) as refused:
        _judge(Guard.RO, servers=("two", "one"))
    assert str(refused.value) == (
        f"{HARM}. Several of its attachments are being made at once, or wait for a "
        "host, and it cannot be told which of the servers one, two this one is for"
    )
    assert _judge(Guard.RO, servers=("two", "three")).mode is Mode.RO


def test_row_without_a_host_and_host_without_a_row_are_one_writer():
    row = Use("attachment 1", None, writes=True)
    shown = Use("mark 1", A, writes=True)
    missing = Use(f"host {B}", B, writes=True)
    assert writing([row]) == {"attachment 1"}
    assert writing([row, shown]) == {"attachment 1"}
    assert writing([row, shown, missing]) == {"attachment 1", f"host {B}"}
    assert writing([WRITER, shown]) == {"one", "mark 1"}
