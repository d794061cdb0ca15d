# SPDX-License-Identifier: Apache-2.0
"""The command tells what the checks find, and ends as they say."""

import pytest

from taikun_cinder.checks import run
from taikun_cinder.checks.findings import Outcome
from taikun_cinder.checks.run import Result

OK = Result("lvm", "thin-pool", Outcome.OK, "42 % are used", "")
WARNING = Result("", "clock", Outcome.WARNING, "it is late", "Set it.")
FAILED = Result("lvm", "portals", Outcome.FAILED, "taken", "Free it.")
UNKNOWN = Result("", "policy", Outcome.UNKNOWN, "elsewhere", "")


class _Backend:
    name = "lvm"


@pytest.fixture
def check(command, monkeypatch):
    """Return a function that calls the check, which finds some things."""

    def check(*found, arguments=(), backends=(_Backend,), complaints=()):
        looked_at: list[str] = []

        def results(chosen, begin):
            looked_at.extend(one.name for one in chosen)
            begin("thin-pool")
            yield from found

        monkeypatch.setattr(run, "results", results)
        done = command(
            *("check", "-f", "json", *arguments), found=backends, complaints=complaints
        )
        return done, looked_at

    return check


def _of(done):
    return {row["Check"]: row for row in done.json}


@pytest.mark.parametrize(
    ("found", "status"),
    [((OK,), 0), ((OK, WARNING, UNKNOWN), 0), ((OK, FAILED, WARNING), 1)],
)
def test_only_what_failed_makes_a_status(check, found, status):
    done, _ = check(*found)
    assert done.status == status
    assert done.complaints == ""


def test_each_result_is_a_row_with_its_cure(check):
    done, looked_at = check(OK, FAILED)
    assert looked_at == ["lvm"]
    assert _of(done)["portals"] == {
        "Back end": "lvm",
        "Check": "portals",
        "Result": "failed",
        "Found": "taken",
        "Cure": "Free it.",
    }
    assert _of(done)["back-ends"]["Result"] == "ok"


def test_only_problems_are_told_if_that_is_asked_for(check):
    done, _ = check(OK, WARNING, FAILED, UNKNOWN, arguments=["--problems"])
    assert list(_of(done)) == ["clock", "portals", "policy"]


def test_node_is_looked_at_though_no_back_end_can_be(check):
    done, looked_at = check(OK, backends=(), complaints=["back end [x]: no such group"])
    assert done.status == 1
    assert looked_at == []
    first, second, third = done.json
    assert first["Found"] == "back end [x]: no such group"
    assert "none in enabled_backends has volume_driver" in second["Found"]
    assert third["Check"] == "thin-pool"


def test_one_back_end_is_looked_at_if_that_is_asked_for(check):
    class Other:
        name = "other"

    both = (_Backend, Other)
    _, looked_at = check(OK, backends=both, arguments=["--backend", "other"])
    assert looked_at == ["other"]


def test_back_end_that_there_is_not_is_told(check):
    done, looked_at = check(OK, arguments=["--backend", "lost"])
    assert done.status == 2
    assert "no back end [lost] of this driver; it has lvm" in done.complaints
    assert looked_at == []


def test_everything_is_looked_at_over_a_real_cloud(cloud, command, node, monkeypatch):
    from tests.unit.cli.conftest import backend_of  # noqa: PLC0415 - made there

    done = command("check", "-f", "json", found=[backend_of(cloud)])
    rows = _of(done)
    assert rows["database"]["Result"] == "ok"
    assert rows["records"]["Result"] == "ok"
