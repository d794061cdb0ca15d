# SPDX-License-Identifier: Apache-2.0
"""What became of tempest's tests is held against what must become of them."""

from tests.tempest.verdict import Outcome, Verdict, of_each, plain

PASSED = Outcome("success")
FAILED = Outcome("fail", reason="Traceback")
SKIPPED = Outcome("skip", reason="Skipped because the compute service is off")

CANNOT_PASS = {"m.C.broken": "it asks for a server"}
MAY_SKIP = {"^Skipped because the compute": "no Nova"}


def _verdict(outcomes, whole=False):
    return Verdict(outcomes, CANNOT_PASS, MAY_SKIP, whole)


def test_what_passes_fails_as_listed_or_skips_for_a_known_reason_is_right():
    outcomes = {"m.C.good": PASSED, "m.C.broken": FAILED, "m.C.server": SKIPPED}
    verdict = _verdict(outcomes, whole=True)
    assert verdict.faults() == []
    assert verdict.summary() == [
        "3 tests: 1 fail, 1 skip, 1 success",
        "  skip, 1: no Nova",
        "  fails: m.C.broken: it asks for a server",
    ]


def test_a_failure_that_is_not_listed_is_a_fault():
    assert _verdict({"m.C.good": FAILED}).faults() == ["m.C.good: fail"]


def test_a_listed_test_that_passes_is_a_fault():
    (fault,) = _verdict({"m.C.broken": PASSED}).faults()
    assert "off the list" in fault


def test_a_listed_test_that_is_gone_is_a_fault_of_a_whole_run_only():
    assert _verdict({"m.C.good": PASSED}).faults() == []
    (fault,) = _verdict({"m.C.good": PASSED}, whole=True).faults()
    assert fault == "m.C.broken: no more among tempest's tests"


def test_a_skip_for_an_unknown_reason_is_a_fault():
    outcome = Outcome("skip", reason="Cinder backup feature disabled")
    assert _verdict({"m.C.good": outcome}).faults() == [
        "m.C.good: skips: Cinder backup feature disabled"
    ]


def test_a_test_without_an_outcome_is_a_fault():
    outcomes = of_each(["m.C.good[id-1]", "m.C.lost[id-2]"], {"m.C.good[id-1]": PASSED})
    assert _verdict(outcomes).faults() == ["m.C.lost: lost"]


def test_a_test_that_was_not_listed_counts_too():
    outcomes = of_each([], {"m.C.good[compute,id-1]": FAILED})
    assert _verdict(outcomes).faults() == ["m.C.good: fail"]


def test_a_class_that_skips_skips_all_of_its_tests():
    outcomes = of_each(
        ["m.C.one[id-1]", "m.C.two[id-2]", "m.D.one[id-3]"],
        {"setUpClass (m.C)": SKIPPED, "m.D.one[id-3]": PASSED},
    )
    assert outcomes == {"m.C.one": SKIPPED, "m.C.two": SKIPPED, "m.D.one": PASSED}


def test_what_a_class_leaves_behind_is_a_fault():
    outcomes = of_each(
        ["m.C.one[id-1]"], {"m.C.one[id-1]": PASSED, "tearDownClass (m.C)": FAILED}
    )
    assert _verdict(outcomes).faults() == ["tearDownClass (m.C): fail"]


def test_a_name_is_told_without_its_attributes():
    assert plain("m.C.good[id-0-1,smoke]") == "m.C.good"
