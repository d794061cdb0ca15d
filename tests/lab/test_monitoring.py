# SPDX-License-Identifier: Apache-2.0
"""Metrics, alerts and reports tell what is really so, on real kernels."""

import functools
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.cluster import VOLUME_SERVICE, Cluster
from lab.node import Node
from lab.services.cinder_conf import BACKEND, METRICS
from lab.single import SingleNode
from tests import alerts
from tests.lab import shared
from tests.lab.stories import OURS, Story
from tests.lab.test_filesystem_guard import CONTENTS
from tests.lab.test_hanging import HANGING, TIMEOUT, _Volumes
from tests.lab.writers import undisturbed

pytestmark = pytest.mark.in_turn(5, of="file")

#: Only the reconciles that a test asks for; the metrics go where a node has them.
OPTIONS = {
    "taikun_reconcile_interval": "0",
    "taikun_max_revocations": "1",
    "taikun_metrics_folder": METRICS,
}

MONITORING = "tests.lab.guest.monitoring"


def _metrics(node: Node, *lines: str, timeout: float = 60) -> str:
    """Wait until the file has these lines; give it, as any user reads it."""
    read = f"runuser -u nobody -- cat {METRICS}/taikun_cinder-storage@{BACKEND}.prom"
    deadline = time.monotonic() + timeout
    while True:
        text = node.run(f"{read} || true")
        if all(re.search(line, text) for line in lines):
            return text
        assert time.monotonic() < deadline, f"{lines} are not all in:\n{text}"
        time.sleep(1)


@pytest.fixture
def folder(node: SingleNode) -> Iterator[None]:
    """The folder of node_exporter's collector."""
    node.node.run(f"mkdir -p {METRICS}")
    yield
    node.node.run(f"rm -r {METRICS}")


def test_what_the_brake_holds_is_shown_and_raises_its_alert(
    node: SingleNode, folder: None, tmp_path: Path
) -> None:
    with node.backend(OURS, OPTIONS) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        story.attach("b", mode="ro")
        story.driver("reconcile")
        right = _metrics(
            node.node,
            r'_accesses\{.*mode="rw"\} 1',
            r'_sessions\{.*mode="rw"\} 1',
            r'_sessions\{.*mode="ro"\} 1',
            r"_shared_volumes\{.*\} 1",
            r'_attaches_total\{.*"done"\} 2',
        )
        with undisturbed(story, device):
            story.driver("lose_rows", [story.attachment("a"), story.attachment("b")])
            for _ in range(3):
                story.driver("reconcile")
            held = _metrics(node.node, r'_held_accesses\{.*"over_limit"\} 2')
        for host in "ab":
            story.log_out(host)
        story.driver("reconcile")
        assert story.targets() == []
        ended = _metrics(node.node, r'_held_accesses\{.*"over_limit"\} 0')
    alerts.need_promtool()
    for text, firing in (right, []), (held, ["TaikunCinderBrakeHolds"]), (ended, []):
        alerts.assert_firing(alerts.series_of(text), firing, tmp_path)


def test_disk_that_does_not_answer_is_shown_reported_and_raises_its_alert(
    node: SingleNode, folder: None, tmp_path: Path
) -> None:
    with node.backend(OURS, OPTIONS) as backend:
        story = Story(node, backend)
        story.inside(HANGING, "use_daemon", TIMEOUT)
        volumes = _Volumes(story, 1)
        with volumes.sick():
            begun = story.inside(
                HANGING,
                "detach_beside",
                volumes.attachments,
                story.volume,
                story.connector("b"),
            )
            assert "busy" in begun["errors"][0]
            story.driver("reconcile")
            told = story.inside(MONITORING, "report")
            sick = _metrics(node.node, r"_reconcile_busy_targets\{.*\} 1")
        assert told["seconds"] < TIMEOUT
        section = _section(told["text"])
        assert "Busy targets, by the last pass:\n  volume " in section
        _until_detached(story, volumes.attachments[0])
        story.driver("reconcile")
        healed = _metrics(node.node, r"_reconcile_busy_targets\{.*\} 0")
        assert re.search(r'_detaches_total\{.*"step_unfinished"\} 1', healed)
    alerts.need_promtool()
    for text, firing in (sick, ["TaikunCinderTargetBusy"]), (healed, []):
        alerts.assert_firing(alerts.series_of(text), firing, tmp_path)


def test_file_system_with_two_writers_is_shown_and_raises_its_alert(
    node: SingleNode, folder: None, tmp_path: Path
) -> None:
    options = {**OPTIONS, "taikun_filesystem_guard": "warn"}
    with node.backend(OURS, options) as backend:
        story = Story(node, backend)
        disks = [story.attach(host) for host in "ab"]
        story.guest(CONTENTS, "fill", disks[0], "ext4")
        story.inside(CONTENTS, "look_again")
        assert story.inside(CONTENTS, "endangered")
        danger = _metrics(node.node, r"_endangered_volumes\{.*\} 1")
        for host in "ab":
            story.detach(host)
        assert not story.inside(CONTENTS, "endangered")
        over = _metrics(node.node, r"_endangered_volumes\{.*\} 0")
    alerts.need_promtool()
    firing = ["TaikunCinderVolumeEndangered"]
    alerts.assert_firing(alerts.series_of(danger), firing, tmp_path)
    alerts.assert_firing(alerts.series_of(over), [], tmp_path)


def _until_detached(story: Story, attachment: str) -> None:
    deadline = time.monotonic() + 60
    while error := story.driver("together", [("detach", [attachment])])[0]:
        assert time.monotonic() < deadline, error
        time.sleep(0.5)


def _section(report: str) -> str:
    """Give the driver's section of the newest report in a text."""
    title = f"taikun_cinder: storage@{BACKEND}"
    assert title in report, report[-2000:]
    section = report.rpartition(title)[2]
    return section.partition("=" * 72)[2].partition("=" * 72)[0]


def _said_since(log: Path, size: int) -> str:
    return log.read_bytes()[size:].decode(errors="replace")


def _report_with(storage: Node, log: Path, word: str) -> str:
    """Ask for reports until the driver's section has a word; give the section."""
    title = f"taikun_cinder: storage@{BACKEND}"
    for _ in range(10):
        before = log.stat().st_size
        said = functools.partial(_said_since, log, before)
        assert storage.call(MONITORING, "ask_for_reports", VOLUME_SERVICE)
        section = _section(_wait_for(said, title, "brake holds"))
        if word in section:
            break
        time.sleep(2)
    return section


def _wait_for(said: Callable[[], str], *words: str, timeout: float = 60) -> str:
    deadline = time.monotonic() + timeout
    while not all(word in (text := said()) for word in words):
        assert time.monotonic() < deadline, f"{words} are not all in:\n{text[-3000:]}"
        time.sleep(0.5)
    return text


def test_service_of_a_plain_user_writes_metrics_that_anybody_can_read(
    cluster: Cluster,
) -> None:
    storage = cluster.nodes["storage"]
    with shared.volume(cluster) as volume:
        attachment, _ = volume.let_in("compute1")
        _metrics(
            storage,
            r"_initialized\{.*\} 1",
            r"_attach_duration_seconds_count\{.*\} [1-9]",
            r"_exported_volumes\{.*\} [1-9]",
            timeout=120,
        )
        volume.end(attachment)
    listed = storage.run(f"stat --format '%U %a' {METRICS}/*@{BACKEND}.prom")
    assert listed.split() == [cluster.user, "644"]


def test_report_of_a_service_whose_call_hangs_says_what_it_waits_for(
    cluster: Cluster,
) -> None:
    storage, log = cluster.nodes["storage"], cluster.work.log(VOLUME_SERVICE)
    with shared.volume(cluster) as volume:
        attached = volume.attach("compute1")
        logical = storage.run(f"readlink -f /dev/*/volume-{volume.id}").strip()
        storage.call(HANGING, "suspend", logical)
        with ThreadPoolExecutor(initializer=cluster.sandbox.join_network) as pool:
            try:
                attached.node.call(HANGING, "write_once", attached.path)
                # Its host is logged in still, so the end of its access hangs.
                ending = pool.submit(volume.end, attached.attachment)
                section = _report_with(storage, log, f"volume-{volume.id}\n")
                assert not ending.done()
            finally:
                storage.call(HANGING, "resume", logical)
            ending.result()
        attached.node.run("iscsiadm -m node --logoutall=all || true")
        assert f"detaches volume {volume.id}, host: compute1, req-" in section
        assert f"has the lock of volume {volume.id}" in section
        assert re.search(rf" s  apply \S+:volume-{volume.id}\n", section)
        secret = str(attached.information["auth_password"])
        assert secret
        assert secret not in section
