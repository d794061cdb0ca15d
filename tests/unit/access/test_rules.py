# SPDX-License-Identifier: Apache-2.0
"""The rules let a server in, hold it to reading, or refuse it and say why."""

import pytest

from taikun_cinder.access.model import Initiator, Mode
from taikun_cinder.access.rules import RefusedError, Rule, Secondary, Use, decide

A, B, C, D = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "abcd")
RO, DENY = Rule(Secondary.RO), Rule(Secondary.DENY)
READS, WRITES = Use("one", A, writes=False), Use("one", A, writes=True)


def _decide(rule, uses, *servers, mode=Mode.RW, initiator=B):
    return decide(rule, initiator, servers or ("two",), mode, uses)


def _refusal(*asked, **more):
    with pytest.raises(RefusedError) as refused:
        _decide(*asked, **more)
    return str(refused.value)


@pytest.mark.parametrize(
    ("rule", "limits"),
    [(Rule(), False), (RO, True), (DENY, True), (Rule(max_hosts=1), True)],
)
def test_rule_limits_by_the_mode_or_the_number_of_hosts(rule, limits):
    assert rule.limits is limits


def test_second_server_reads_while_another_may_write():
    assert _decide(Rule(), [WRITES]) is Mode.RW
    assert _decide(RO, [WRITES]) is Mode.RO
    assert _decide(RO, [READS]) is Mode.RW
    assert _decide(RO, []) is Mode.RW
    # Also where its mode comes later.
    assert _decide(RO, [WRITES], mode=None) is Mode.RO
    assert _decide(RO, [READS], mode=None) is None


def test_second_server_is_refused_and_one_that_moves_is_none():
    assert _refusal(DENY, [READS]) == (
        "it is attached to another server, and its rule for second attachments "
        "is 'deny'"
    )
    assert _decide(DENY, [WRITES], "one") is Mode.RW
    assert _decide(DENY, []) is Mode.RW


def test_hosts_are_counted_and_a_host_that_has_it_is_no_further_one():
    two = [WRITES, Use("three", C, writes=False), Use("four", None, writes=False)]
    assert _decide(Rule(max_hosts=3), two) is Mode.RW
    assert _refusal(Rule(max_hosts=2), two) == (
        "it is attached to 2 host(s), and its limit is 2"
    )
    assert _decide(Rule(max_hosts=2), two, initiator=C) is Mode.RW
    assert _refusal(Rule(max_hosts=1), [WRITES])
    assert _decide(Rule(max_hosts=1), [WRITES], "one") is Mode.RW


def test_server_that_moves_is_on_two_hosts_at_most():
    on_two = [Use("one", host, writes=True) for host in (A, C)]
    assert _refusal(RO, on_two, "one") == (
        f"server one has it on 2 other hosts, {A} and {C}, and a server that moves is "
        "on two at most, the old one and the new one"
    )
    assert _decide(Rule(), on_two, "one") is Mode.RW
    assert _decide(RO, on_two, "one", initiator=A) is Mode.RW
    lost = [Use("one", A, writes=True), Use("one", C, writes=True, attached=False)]
    assert _decide(RO, lost, "one") is Mode.RW
    unknown = [Use("one", A, writes=True), Use("one", None, writes=True)]
    assert _decide(RO, unknown, "one") is Mode.RW


def test_server_that_moves_goes_on_with_its_mode():
    undecided = Use("one", A, writes=True, undecided=True)
    assert _decide(Rule(), [WRITES], "one", mode=None) is Mode.RW
    assert _decide(Rule(), [READS], "one", mode=None) is Mode.RO
    assert _decide(Rule(), [READS], "one", mode=Mode.RW) is Mode.RW
    assert _decide(Rule(), [undecided], "one", mode=None) is None
    assert _decide(Rule(), [WRITES], "two", mode=None) is None


def test_where_it_matters_which_server_it_is_a_rule_refuses_it():
    assert _decide(Rule(), [WRITES, READS], "one", "two", mode=None) is None
    assert _decide(RO, [READS], "one", "two") is Mode.RW
    assert _refusal(RO, [WRITES], "two", "one") == (
        "several of its attachments are being made at once, it cannot be told which "
        "of the servers one, two this one is for, and the volume's rule for second "
        "attachments treats them differently"
    )
