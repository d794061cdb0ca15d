# SPDX-License-Identifier: Apache-2.0
"""The turns of the lab's tests: each case has one, and a case chosen alone always."""

from typing import Any

import pytest

from tests.lab import turns


def _taken(monkeypatch: pytest.MonkeyPatch, cases: list[str], every: int) -> list[str]:
    taken: list[str] = []
    for turn in range(20000, 20000 + every):
        monkeypatch.setenv(turns.VARIABLE, str(turn))
        taken += turns.part(cases, every, len)
    return taken


@pytest.mark.parametrize("every", [1, 2, 3, 4, 6])
def test_each_case_is_taken_once_in_as_many_turns(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    cases = [f"case {number}" for number in range(6)]
    assert sorted(_taken(monkeypatch, cases, every)) == cases


def test_turns_take_about_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"a": 90.0, "b": 60.0, "c": 40.0, "d": 30.0, "e": 10.0, "f": 4.0}
    taken = []
    for turn in range(20000, 20002):
        monkeypatch.setenv(turns.VARIABLE, str(turn))
        own = turns.part(list(seconds), 2, seconds.__getitem__)
        assert own == sorted(own), "their order is kept"
        taken.append(sum(map(seconds.__getitem__, own)))
    assert sum(taken) == sum(seconds.values())
    assert max(taken) < 1.1 * min(taken)


def test_cases_chosen_by_hand_are_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _taken(monkeypatch, ["the only one"], 3) == ["the only one"] * 3


class _Item:
    """What of a collected test decides about its turn."""

    def __init__(self, file: str, name: str, case: str, **of: str) -> None:
        self.path = self.parent = file
        self.originalname = name
        self.name = f"{name}[{case}]"
        self._marker = pytest.mark.in_turn(2, **of).mark if name != "always" else None

    def get_closest_marker(self, name: str) -> object:
        assert name == "in_turn"
        return self._marker


def test_a_set_is_a_test_or_a_file_or_what_the_marker_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items: list[Any] = [
        _Item("a", "always", "1"),
        *(_Item("a", name, case) for name in ("one", "two") for case in "12"),
        *(_Item("b", name, "1", of="file") for name in ("one", "two")),
        *(_Item(file, "one", "1", of="both") for file in "cd"),
    ]
    left = {}

    def alike(case: object) -> float:
        return 1.0

    for turn in (0, 1):
        monkeypatch.setenv(turns.VARIABLE, str(turn))
        left[turn] = [(item.path, item.name) for item in turns.left_out(items, alike)]
    assert left[1] == [(i.path, i.name) for i in items[1::2]]
    assert left[0] == [(i.path, i.name) for i in items[2::2]]


def test_all_processes_of_a_run_have_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(turns.VARIABLE, "7")
    turns.fix()
    assert turns.number() == 7
    monkeypatch.delenv(turns.VARIABLE)
    turns.fix()
    assert turns.number() > 20000
