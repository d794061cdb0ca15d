# SPDX-License-Identifier: Apache-2.0
"""The alerts and the dashboard: sound, about metrics that exist, and they do fire."""

import json
import re
import subprocess

import pytest
import yaml

from taikun_cinder.monitoring.metrics import Metrics
from taikun_cinder.passes import Pass
from taikun_cinder.targets.lio.target import LioTarget
from tests import alerts
from tests.alerts import MINUTES, RULES
from tests.unit.monitoring.shown import Shown

DASHBOARD = RULES.parents[1] / "grafana" / "taikun_cinder.json"
PAGE = RULES.parents[2] / "doc" / "source" / "monitoring.rst"

BACKEND = "node@lvm"

#: What Grafana puts in the place of its variables.
_GRAFANA = {"$backend": ".*", "$__rate_interval": "5m"}


@pytest.fixture
def text():
    """The metrics of a back end with which all is well."""
    metrics = Metrics(BACKEND, LioTarget.kinds, 60)
    metrics.initialize()
    metrics.end_pass(Pass())
    return metrics.text()


def _rules():
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def _dashboards():
    """Give every expression of the dashboard as Prometheus gets it."""
    whole = json.loads(DASHBOARD.read_text())
    targets = [one for panel in whole["panels"] for one in panel.get("targets", [])]
    for found in [*targets, *whole["annotations"]["list"]]:
        expression = found["expr"]
        for variable, value in _GRAFANA.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        yield expression


def _expressions():
    return [*(rule["expr"] for rule in _rules()), *_dashboards()]


def test_every_expression_is_sound(tmp_path):
    alerts.need_promtool()
    rules = [
        {"record": f"expression:{number}", "expr": expression}
        for number, expression in enumerate(_expressions())
    ]
    made = tmp_path / "rules.yaml"
    made.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    for file in (RULES, made):
        check = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", file]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_asked_for_exists(text):
    exist = {one.name for family in Shown(text).families for one in family.samples}
    for expression in _expressions():
        names = set(re.findall(r"\btaikun_cinder_\w+", expression))
        assert names <= exist, expression


def test_every_value_of_a_label_that_is_asked_for_exists(text):
    values: dict[tuple[str, str], set[str]] = {}
    for family in Shown(text).families:
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    asked = 0
    for expression in _expressions():
        for name, matchers in re.findall(r"(taikun_cinder_\w+)\{(.*?)\}", expression):
            for label, wanted in re.findall(r'(\w+)[!=]~?"(.*?)"', matchers):
                if wanted != ".*":
                    asked += 1
                    assert set(wanted.split("|")) <= values[name, label], expression
    assert asked


def test_dashboard_shows_every_metric(text):
    shown = " ".join(_dashboards())
    hidden = {"taikun_cinder_reconcile_interval_seconds"}
    families = {family.name for family in Shown(text).families} - hidden
    assert [name for name in sorted(families) if name not in shown] == []


def test_panels_have_words_and_do_not_overlap():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_no_alert_fires_where_all_is_well(text, tmp_path):
    alerts.need_promtool()
    alerts.assert_firing(alerts.series_of(text.decode()), [], tmp_path)


def _steady(value):
    return f"{value}+0x{MINUTES}"


#: By alert, what makes it fire: values by metric and label, in promtool's notation.
FAULTS = {
    "TaikunCinderMetricsStale": {
        "metrics_timestamp_seconds": f"0+60x{MINUTES - 5} {(MINUTES - 5) * 60}+0x5",
    },
    "TaikunCinderMetricsGone": {
        "metrics_timestamp_seconds": f"0+60x{MINUTES - 5} stale",
    },
    "TaikunCinderNotInitialized": {"initialized": _steady(0)},
    "TaikunCinderReconcileLate": {
        "reconcile_last_pass_timestamp_seconds": f"0+60x{MINUTES - 10} "
        f"{(MINUTES - 10) * 60}+0x10",
    },
    "TaikunCinderDatabaseUnknown": {"reconcile_database_known": _steady(0)},
    "TaikunCinderBrakeHolds": {
        'brake_held_accesses reason="over_limit"': _steady(4),
    },
    "TaikunCinderTargetBusy": {
        "reconcile_busy_targets": _steady(1),
        "reconcile_failed_volumes": _steady(1),
    },
    "TaikunCinderVolumeEndangered": {"endangered_volumes": _steady(1)},
    "TaikunCinderSessionsLost": {
        'accesses mode="rw"': _steady(8),
        'accesses mode="ro"': _steady(2),
        'sessions mode="rw"': _steady(4),
    },
    "TaikunCinderVolumesFailed": {"reconcile_failed_volumes": _steady(1)},
    "TaikunCinderFaultsLeft": {'reconcile_faults kind="serial"': _steady(1)},
    "TaikunCinderRequestsFail": {
        'attaches_total outcome="step_failed"': f"0+0x{MINUTES - 5} 2+0x5",
        'detaches_total outcome="other"': f"0+0x{MINUTES - 5} 2+0x5",
    },
    "TaikunCinderRequestHangs": {"oldest_detach_age_seconds": f"0+60x{MINUTES}"},
    "TaikunCinderInitiatorTaken": {
        'attaches_total outcome="initiator_taken"': f"0+0x{MINUTES - 5} 1+0x5",
    },
    "TaikunCinderAttachSlow": {
        'attach_duration_seconds_bucket le="10.0"': f"0+1x{MINUTES}",
        'attach_duration_seconds_bucket le="+Inf"': f"0+1x{MINUTES}",
    },
    "TaikunCinderChangedByOthers": {
        'reconcile_corrections_total kind="tpg"': f"0+1x{MINUTES}",
    },
}


def _with(series, faults):
    """Give the series with other values for some of them."""
    changed = dict(series)
    for asked, values in faults.items():
        name, _, label = asked.partition(" ")
        (found,) = [
            one
            for one in series
            if one.startswith(f"taikun_cinder_{name}{{") and label in one
        ]
        changed[found] = values
    return changed


def test_every_alert_has_its_story():
    assert FAULTS.keys() == {rule["alert"] for rule in _rules()}


@pytest.mark.parametrize("alert", FAULTS)
def test_fault_raises_its_alert_and_no_other(text, tmp_path, alert):
    alerts.need_promtool()
    series = _with(alerts.series_of(text.decode()), FAULTS[alert])
    alerts.assert_firing(series, [alert], tmp_path)


#: What looks like a fault, and is none.
PEACE = {
    "a pass before the first": {
        "reconcile_last_pass_timestamp_seconds": _steady(0),
        "start_time_seconds": _steady((MINUTES - 3) * 60),
    },
    "no reconcile is wanted": {
        "reconcile_last_pass_timestamp_seconds": _steady(0),
        "reconcile_interval_seconds": _steady(0),
    },
    "a long interval": {
        "reconcile_interval_seconds": _steady(3600),
        "reconcile_last_pass_timestamp_seconds": f"0+0x{MINUTES - 70} "
        f"{(MINUTES - 70) * 60}+0x70",
    },
    "rows that are missing for the first time": {
        'brake_held_accesses reason="missing_once"': _steady(9),
    },
    "a rule that forbids attaches": {
        'attaches_total outcome="attachment_refused"': f"0+5x{MINUTES}",
    },
    "one host of three that is off": {
        'accesses mode="rw"': _steady(3),
        'sessions mode="rw"': _steady(1),
    },
    "access that requests left behind": {
        'reconcile_corrections_total kind="foreign-acl"': f"0+1x{MINUTES}",
    },
    "a slow attach that comes to its end": {
        "oldest_attach_age_seconds": f"0x{MINUTES - 3} 60 120 180",
    },
    "a restart, after which counters begin anew": {
        'attaches_total outcome="other"': f"2+0x{MINUTES - 5} 0+0x5",
    },
}


@pytest.mark.parametrize("story", PEACE)
def test_what_is_no_fault_raises_no_alert(text, tmp_path, story):
    alerts.need_promtool()
    series = _with(alerts.series_of(text.decode()), PEACE[story])
    alerts.assert_firing(series, [], tmp_path)


def test_service_that_ends_is_one_alert_and_not_two(text, tmp_path):
    alerts.need_promtool()
    ended = MINUTES - 30
    stays = f"0+60x{ended} {ended * 60}+0x30"
    faults = {
        "metrics_timestamp_seconds": stays,
        "reconcile_last_pass_timestamp_seconds": stays,
    }
    series = _with(alerts.series_of(text.decode()), faults)
    alerts.assert_firing(series, ["TaikunCinderMetricsStale"], tmp_path)


@pytest.mark.parametrize("takes_over", [True, False])
def test_back_end_that_goes_with_its_file_is_missed_unless_another_node_has_it(
    tmp_path, takes_over
):
    alerts.need_promtool()
    name = f'taikun_cinder_metrics_timestamp_seconds{{job="node",backend="{BACKEND}"'
    series = {f'{name},instance="one"}}': f"0+60x{MINUTES - 10} stale"}
    if takes_over:
        series[f'{name},instance="two"}}'] = f"0+60x{MINUTES}"
    expected = [] if takes_over else ["TaikunCinderMetricsGone"]
    alerts.assert_firing(series, expected, tmp_path)


def test_alert_says_which_back_end_how_many_and_what_to_do(text, tmp_path):
    alerts.need_promtool()
    alert = "TaikunCinderBrakeHolds"
    series = _with(alerts.series_of(text.decode()), FAULTS[alert])
    (rule,) = [rule for rule in _rules() if rule["alert"] == alert]
    labels = {"backend": BACKEND, "reason": "over_limit", "severity": "critical"}
    said = {
        "summary": f"{BACKEND} holds 4 accesses of live hosts that have no attachment "
        "(over_limit)",
        "description": rule["annotations"]["description"],
    }
    alerts.assert_told(series, alert, labels, said, tmp_path)


def test_every_alert_and_every_metric_is_explained(text):
    page = PAGE.read_text()
    for rule in _rules():
        assert f"\n``{rule['alert']}``\n" in page, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
    for family in Shown(text).families:
        # The parser takes the end off a counter's name.
        name = family.name + "_total" * (family.type == "counter")
        assert re.search(rf"``{name}(\{{\w+\}})?``", page), name
