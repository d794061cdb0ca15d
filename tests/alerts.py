# SPDX-License-Identifier: Apache-2.0
"""Which alerts fire, by Prometheus' own reckoning (promtool, of package prometheus)."""

import json
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.workdir import PROJECT

RULES = PROJECT / "etc" / "prometheus" / "taikun_cinder.rules.yaml"

#: How long it is reckoned for, in minutes: longer than any alert waits.
MINUTES = 150

#: The series that a service moves on by itself, in seconds a minute.
_CLOCKS = (
    "taikun_cinder_metrics_timestamp_seconds",
    "taikun_cinder_reconcile_last_pass_timestamp_seconds",
)


def need_promtool() -> None:
    """Skip a test where there is none."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (package prometheus)")


def series_of(text: str) -> dict[str, str]:
    """Give what a file of metrics shows as if it stayed so, in promtool's notation.

    But for its clocks: they go on from 0 o'clock, as Prometheus' does there.
    """
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(
                f"{name}={json.dumps(value)}" for name, value in sample.labels.items()
            )
            steady = f"{sample.value}+0x{MINUTES}"
            if sample.name in _CLOCKS:
                steady = f"0+60x{MINUTES}"
            elif sample.name == "taikun_cinder_start_time_seconds":
                steady = f"0+0x{MINUTES}"
            found[f"{sample.name}{{{labels}}}"] = steady
    return found


def assert_firing(
    series: Mapping[str, str], alerts: Collection[str], folder: Path
) -> None:
    """See that these alerts fire in the end, and no others.

    Args:
        series: the values of each, a minute apart, in promtool's notation.
        alerts: their names.
        folder: to write in.
    """
    _assert_that(
        {
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}"}}', "value": 1}
                        for alert in sorted(alerts)
                    ],
                }
            ]
        },
        series,
        folder,
    )


def assert_told(
    series: Mapping[str, str],
    alert: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    folder: Path,
) -> None:
    """See that an alert fires in the end, and what it says."""
    expected = {"exp_labels": dict(labels), "exp_annotations": dict(annotations)}
    test = {
        "alertname": alert,
        "eval_time": f"{MINUTES}m",
        "exp_alerts": [expected],
    }
    _assert_that({"alert_rule_test": [test]}, series, folder)


def _assert_that(
    test: Mapping[str, Any], series: Mapping[str, str], folder: Path
) -> None:
    whole = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values}
                    for name, values in series.items()
                ],
                **test,
            }
        ],
    }
    file = folder / "alerts.yaml"
    file.write_text(json.dumps(whole))  # JSON is YAML
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
