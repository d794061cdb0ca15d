# SPDX-License-Identifier: Apache-2.0
"""The turns of the lab's tests: each case has one, and a case chosen alone always."""

import pytest

from tests.lab import turns


def _taken(monkeypatch: pytest.MonkeyPatch, cases: list[str], every: int) -> list[str]:
    taken: list[str] = []
    for turn in range(20000, 20000 + every):
        monkeypatch.setenv(turns.VARIABLE, str(turn))
        taken += turns.part(cases, every)
    return taken


@pytest.mark.parametrize("every", [1, 2, 3, 4, 6])
def test_each_case_is_taken_once_in_as_many_turns(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    cases = [f"case {number}" for number in range(6)]
    assert sorted(_taken(monkeypatch, cases, every)) == cases


def test_cases_chosen_by_hand_are_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _taken(monkeypatch, ["the only one"], 3) == ["the only one"] * 3


def test_all_processes_of_a_run_have_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(turns.VARIABLE, "7")
    turns.fix()
    assert turns.number() == 7
    monkeypatch.delenv(turns.VARIABLE)
    turns.fix()
    assert turns.number() > 20000
