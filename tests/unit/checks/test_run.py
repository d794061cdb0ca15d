# SPDX-License-Identifier: Apache-2.0
"""All checks are made, whatever one of them does, and all is told once."""

import time

import pytest

from taikun_cinder.checks import catalogue, run
from taikun_cinder.checks.check import BackendCheck, NodeCheck
from taikun_cinder.checks.facts import Facts, Once, Unanswered
from taikun_cinder.checks.findings import Outcome, ok, warning
from taikun_cinder.targets.looks import Unseen


@pytest.fixture
def results(node, monkeypatch):
    """Return a function that runs some checks and gives the results."""

    def results(*checks, backends=()):
        monkeypatch.setattr(catalogue, "CHECKS", checks)
        return list(run.results(backends, node))

    return results


def _fails(facts):
    yield ok("the first half is right")
    raise ValueError("the rest\nhas password = abc in it")


def test_a_check_that_fails_tells_what_it_found_and_stops_no_other(results):
    first, second, third = results(
        NodeCheck("broken", "", _fails), NodeCheck("fine", "", lambda facts: [ok("x")])
    )
    assert first.outcome is Outcome.OK
    assert second.outcome is Outcome.UNKNOWN
    assert second.found.startswith(
        "It could not be looked at: ValueError: the rest has"
    )
    assert "abc" not in second.found
    assert (third.check, third.outcome) == ("fine", Outcome.OK)


def test_what_cannot_be_told_from_here_is_unknown_with_where_it_can(results):
    def unseen(facts):
        raise Unseen("it is on the node", "Look there.")
        yield

    (result,) = results(NodeCheck("x", "", unseen))
    assert result.outcome is Outcome.UNKNOWN
    assert (result.found, result.cure) == ("it is on the node", "Look there.")


def test_a_check_that_hangs_is_given_up_with_its_cure_and_what_it_found(results):
    def hangs(facts):
        yield ok("so far")
        time.sleep(2)

    began = time.monotonic()
    first, second = results(NodeCheck("slow", "", hangs, seconds=0.1, late="Wake it."))
    assert time.monotonic() - began < 1
    assert first.found == "so far"
    assert second.outcome is Outcome.FAILED
    assert (second.found, second.cure) == ("No answer after 0 s", "Wake it.")


def test_results_come_as_they_are_known(node, monkeypatch):
    asked = []

    def second(facts):
        asked.append("second")
        yield ok("y")

    checks = (NodeCheck("a", "", lambda facts: [ok("x")]), NodeCheck("b", "", second))
    monkeypatch.setattr(catalogue, "CHECKS", checks)
    coming = run.results((), node)
    assert next(coming).found == "x"
    assert asked == []
    assert next(coming).found == "y"


def test_what_is_the_same_for_several_back_ends_is_told_once(results, backend):
    one, two = backend(target_port=3261), backend()

    def look(facts, backend):
        yield ok("the same")
        yield warning(f"port {backend.options.target_port}", "none")

    found = results(BackendCheck("x", "", look), backends=(one, two))
    assert [(result.backend, result.found) for result in found] == [
        (f"{one.name}, {two.name}", "the same"),
        (one.name, "port 3261"),
        (two.name, "port 3260"),
    ]


def test_no_name_reaches_the_terminal_as_it_came(results):
    (result,) = results(
        NodeCheck("x", "", lambda facts: [warning("a\x1b[2Jb é", "c\nd")])
    )
    assert (result.found, result.cure) == ("a\\x1b[2Jb é", "c\\nd")


def test_what_only_another_user_can_tell_is_not_looked_at(
    results, backend, monkeypatch
):
    one = backend()
    one.records.folder.mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    user = one.records.folder.owner()
    (result,) = results(
        NodeCheck("x", "", lambda facts: [ok("wrongly")], as_service=True),
        backends=[one],
    )
    assert result.outcome is Outcome.UNKNOWN
    assert f"only user {user} can tell" in result.found
    assert f"runuser -u {user} -- taikun-cinder check" in result.cure


def test_what_hangs_holds_up_the_check_that_tells_of_it_and_no_other(results):
    def hangs():
        time.sleep(2)
        return ok("too late")

    once = Once("first", hangs)
    checks = (
        NodeCheck("first", "", lambda facts: [once.first()], seconds=0.1),
        NodeCheck("second", "", lambda facts: [once.get()], seconds=5),
    )
    began = time.monotonic()
    first, second = results(*checks)
    assert time.monotonic() - began < 1
    assert first.outcome is Outcome.FAILED
    assert (second.outcome, second.found) == (
        Outcome.UNKNOWN,
        "Not looked at: see first",
    )


def test_what_could_not_be_had_is_not_asked_for_again():
    asked = []

    def look_up():
        asked.append(1)
        raise OSError("down")

    once = Once("database", look_up)
    for _ in range(2):
        with pytest.raises(Unanswered, match="database"):
            once.get()
    assert asked == [1]


def test_the_check_that_tells_of_it_is_given_the_cause():
    once = Once("database", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        once.first()
    with pytest.raises(Unanswered):
        once.get()


def test_user_is_unknown_where_nothing_tells(node, state_path, tmp_path):
    state_path(tmp_path / "nowhere")
    assert Facts((), node).other_user is None


def test_every_check_has_a_name_of_its_own_and_says_what_it_is_about():
    names = [check.name for check in catalogue.CHECKS]
    assert len({*names}) == len(names)
    assert all(check.about.endswith(".") for check in catalogue.CHECKS)
    assert all(check.seconds >= 20 for check in catalogue.CHECKS)
