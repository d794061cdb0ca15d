# SPDX-License-Identifier: Apache-2.0
"""A clock that nobody keeps, or that differs from the database's, is told."""

import pytest

from taikun_cinder.checks import timex
from taikun_cinder.checks.database_report import Database
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Outcome


@pytest.fixture
def told(node, found, monkeypatch, cinder):
    """Return a function that gives what is found of a clock."""

    def told(ahead, *, kept=True):
        there = Database("mysql", 0.01, ahead, None)
        monkeypatch.setattr(Database, "asked", classmethod(lambda cls: there))
        monkeypatch.setattr(timex, "synchronised", lambda: kept)
        return found("clock", facts=Facts((), node))

    return told


def test_clock_that_is_kept_and_agrees_is_right(told):
    ((outcome, text, _),) = told(0.25)
    assert outcome is Outcome.OK
    assert text == "It is synchronised, and 250 ms from that of the database's server"


def test_clock_alone_is_right_where_the_database_has_none(told):
    assert told(None)[0][:2] == (Outcome.OK, "It is synchronised")


def test_kernel_that_does_not_tell_is_no_fault(told):
    assert told(0, kept=None)[0][0] is Outcome.OK


def test_clock_that_nobody_tells_of_is_unknown(told):
    ((outcome, _, cure),) = told(None, kept=None)
    assert outcome is Outcome.UNKNOWN
    assert "timedatectl" in cure


def test_clock_that_nobody_keeps_is_told(told):
    ((outcome, text, cure),) = told(0, kept=False)
    assert outcome is Outcome.WARNING
    assert "nobody synchronises" in text
    assert "rtcsync" in cure


@pytest.mark.parametrize(
    ("ahead", "outcome", "words"),
    [
        (3, Outcome.WARNING, "3 s behind that"),
        (-30, Outcome.WARNING, "30 s ahead of that"),
        (50, Outcome.FAILED, "50 s behind that"),
    ],
)
def test_clocks_that_differ_are_told_by_what_follows(told, ahead, outcome, words):
    ((kind, text, _),) = told(ahead)
    assert kind is outcome
    assert words in text
    assert "From 50 s on Cinder takes" in text


def test_the_kernel_is_asked():
    assert timex.synchronised() in (True, False, None)
