# SPDX-License-Identifier: Apache-2.0
"""Hosts and volumes come and go, and nothing is left of them.

``tox -e bench -- --only churn`` does it 2,000 times, and measures memory, too.
"""

import pytest

from bench.churn import Churn, Sizes
from bench.report import Report
from lab.single import SingleNode

pytestmark = pytest.mark.in_turn(4, of="what a node bears")


def test_hosts_and_volumes_that_come_and_go_leave_nothing(node: SingleNode) -> None:
    report = Report({})
    Churn(node, report, Sizes(cycles=10, volumes=4, workers=4)).run()
    (record,) = report.records
    assert (record.runs, record.processes) == (10, 0)
