# SPDX-License-Identifier: Apache-2.0
"""What LVM says is judged; the reports have the form of LVM 2.03 on a real node."""

import json

import pytest

from taikun_cinder.checks import lvm
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Outcome
from tests.unit.checks.conftest import DEVICE, GROUP

VOLUME = {
    "lv_name": "volume-1",
    "lv_path": "/dev/null",
    "lv_layout": "linear",
    "lv_active": "active",
    "lv_suspended": "",
    "data_percent": "",
    "metadata_percent": "",
    "lv_health_status": "",
    "seg_monitor": "",
}
POOL = {
    **VOLUME,
    "lv_name": "cinder-volumes-pool",
    "lv_path": "",
    "lv_layout": "thin,pool",
    "data_percent": "42.00",
    "metadata_percent": "11.62",
}
INNER = {**VOLUME, "lv_name": "[lvol0_pmspare]", "lv_path": "", "lv_active": ""}
INNER["lv_suspended"] = "unknown"


def _changed(row, **values):
    return {**row, **values}


def test_lvm_that_answers_is_right(is_right, backend, commands):
    assert is_right("lvm-commands", backend()) == "LVM 2.03.31 answers root"


@pytest.mark.parametrize("command", ["vgs", "pvs"])
def test_command_that_fails_is_told_with_its_words(only, backend, commands, command):
    commands.put(command, "echo 'sudo: a password is required' >&2; exit 1")
    outcome, text, cure = only("lvm-commands", backend())
    assert outcome is Outcome.FAILED
    assert "sudo: a password is required" in text
    assert "rootwrap.d/volume.filters" in cure
    assert "privileged-process" in cure


def test_missing_lvm_is_told(only, backend, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome, text, _ = only("lvm-commands", backend())
    assert outcome is Outcome.FAILED
    assert "cannot be run" in text


def test_without_lvm_no_other_check_guesses(only, node, backend, commands):
    commands.put("vgs", "exit 1")
    facts = Facts([backend()], node)
    only("lvm-commands", facts=facts)
    for name in ("volume-group", "physical-volumes", "thin-pool", "lvm-inside"):
        with pytest.raises(Unanswered, match="lvm-commands"):
            only(name, facts=facts)


def test_group_that_is_there_is_right_with_its_room(is_right, backend, commands):
    said = is_right("volume-group", backend())
    assert said == "cinder-volumes: 50.0 GiB of 100.0 GiB free"


def test_shared_group_is_right_where_it_is_started(
    only, is_right, backend, commands, mount_state_volume
):
    commands.lvm([_changed(GROUP, vg_lock_type="dlm")])
    outcome, text, cure = only("volume-group", backend())
    assert outcome is Outcome.WARNING
    assert "that nodes share (dlm), and is not started on this one" in text
    assert "crm_mon" in cure
    mount_state_volume()
    assert "shared by dlm" in is_right("volume-group", backend())


def test_group_that_is_not_there_is_judged_as_at_a_start(only, backend, commands):
    commands.put(
        "vgs",
        'case "$*" in\n'
        '*json*) echo \'{"report": [{"vg": []}]}\' ;;\n'
        "*nosuffix*) echo '  system:10.0:5.0:2:uuid' ;;\n"
        "*devices*) echo '  fast|||/dev/sdd' ;;\n"
        "esac",
    )
    outcome, text, cure = only("volume-group", backend(volume_group="fast"))
    assert outcome is Outcome.FAILED
    assert "volume group fast is there, on /dev/sdd, and LVM hides it" in text
    assert "vgimportdevices fast" in cure


@pytest.mark.parametrize("settings", ["numeric", "compact"])
def test_settings_of_reports_in_lvm_conf_do_not_matter(
    is_right, backend, commands, settings
):
    """As LVM 2.03.16 reports with binary_values_as_numeric or compact_output."""
    words = "*report/binary_values_as_numeric=0*report/compact_output=0*"
    for name, row, kind, fields in (
        ("vgs", GROUP, "vg", {"vg_exported": "0"}),
        ("pvs", DEVICE, "pv", {"pv_missing": "0", "pv_duplicate": "0"}),
        ("lvs", VOLUME, "lv", {"lv_suspended": "0"}),
    ):
        odd = {**row, **fields}
        if settings == "compact":
            odd = {key: value for key, value in row.items() if value}
        usual, other = (
            json.dumps({"report": [{kind: [shown]}]}) for shown in (row, odd)
        )
        commands.put(
            name,
            f"case \"$*\" in {words}) echo '{usual}' ;; *) echo '{other}' ;; esac",
        )
    for check in ("volume-group", "physical-volumes", "logical-volumes", "thin-pool"):
        is_right(check, backend())


def test_exported_group_is_told(only, backend, commands):
    commands.lvm([_changed(GROUP, vg_exported="exported")])
    outcome, text, cure = only("volume-group", backend())
    assert outcome is Outcome.FAILED
    assert "vgexport" in text
    assert "vgimport cinder-volumes" in cure


def test_disks_that_are_there_are_named(is_right, backend, commands):
    other = _changed(DEVICE, pv_name="/dev/sda", vg_name="system", pv_uuid="BBBB")
    none = _changed(DEVICE, pv_name="/dev/sdc", vg_name="", pv_uuid="")
    commands.lvm(devices=[DEVICE, other, none])
    assert is_right("physical-volumes", backend()) == "/dev/sdb"


def test_missing_disk_is_told_and_never_to_be_removed(only, backend, commands):
    missing = _changed(
        DEVICE, pv_name="[unknown]", pv_uuid="CCCC", pv_missing="missing"
    )
    commands.lvm(devices=[DEVICE, missing])
    outcome, text, cure = only("physical-volumes", backend())
    assert outcome is Outcome.FAILED
    assert "1 of the 2 disks of cinder-volumes are missing: CCCC" in text
    assert "Do not run vgreduce --removemissing" in cure


def test_disk_that_is_seen_twice_is_told(only, backend, commands):
    twice = _changed(DEVICE, pv_name="/dev/sdc", pv_duplicate="duplicate", vg_name="")
    commands.lvm(devices=[DEVICE, twice])
    outcome, text, cure = only("physical-volumes", backend())
    assert outcome is Outcome.FAILED
    assert "twice, also as /dev/sdc" in text
    assert "multipathd" in cure


def test_volumes_at_work_are_right(is_right, backend, commands):
    commands.lvm(volumes=[VOLUME, POOL, INNER])
    assert is_right("logical-volumes", backend()).startswith("3 logical volume(s)")


@pytest.fixture
def in_no_time(monkeypatch):
    """Let a moment take no time."""
    monkeypatch.setattr(lvm, "_MOMENT", 0)


def test_suspended_volume_is_told_with_the_way_out(only, backend, commands, in_no_time):
    volumes = [
        _changed(VOLUME, lv_name=f"volume-{number}", lv_suspended="suspended")
        for number in range(5)
    ]
    commands.lvm(volumes=volumes)
    outcome, text, cure = only("logical-volumes", backend())
    assert outcome is Outcome.FAILED
    assert "5 logical volume(s) of cinder-volumes are suspended" in text
    assert text.endswith("volume-0, volume-1, volume-2, ...")
    assert "dmsetup resume cinder--volumes-NAME" in cure


def test_volume_that_is_suspended_for_a_moment_is_right(
    is_right, backend, commands, in_no_time, tmp_path
):
    commands.lvm(volumes=[VOLUME])
    commands.put("lvs.later", (tmp_path / "bin/lvs").read_text())
    commands.lvm(volumes=[_changed(VOLUME, lv_suspended="suspended")])
    with (tmp_path / "bin/lvs").open("a") as script:
        script.write('mv "$0.later" "$0"\n')
    is_right("logical-volumes", backend())


def test_active_volume_without_a_link_is_told(only, backend, commands, in_no_time):
    lost = _changed(VOLUME, lv_path="/dev/cinder-volumes/volume-1")
    commands.lvm(volumes=[lost, _changed(lost, lv_name="x", lv_active="")])
    outcome, text, cure = only("logical-volumes", backend())
    assert outcome is Outcome.WARNING
    assert "1 active volume(s)" in text
    assert "udevadm trigger" in cure


@pytest.mark.parametrize("name", ["logical-volumes", "thin-pool"])
@pytest.mark.parametrize("groups", [[], [{**GROUP, "vg_exported": "exported"}]])
def test_volumes_of_a_group_that_lvm_does_not_show_are_not_asked_for(
    only, backend, commands, name, groups
):
    commands.lvm(groups)
    with pytest.raises(Unanswered, match="volume-group"):
        only(name, backend())


def test_group_without_a_pool_is_right(is_right, backend, commands):
    commands.lvm(volumes=[VOLUME])
    assert "no thin pool" in is_right("thin-pool", backend())


def test_pool_with_room_is_right(is_right, backend, commands):
    commands.lvm(volumes=[POOL, INNER, VOLUME])
    assert is_right("thin-pool", backend()) == (
        "cinder-volumes/cinder-volumes-pool: 42 % of its data and 12 % of its metadata "
        "are used"
    )


@pytest.mark.parametrize(
    ("state", "words", "cure"),
    [
        (
            {"data_percent": "100.00", "lv_health_status": "out_of_data"},
            "is full",
            "lvextend --size +SIZE cinder-volumes/cinder-volumes-pool",
        ),
        ({"lv_health_status": "metadata_read_only"}, "metadata_read_only", "--repair"),
        ({"lv_health_status": "failed"}, "is failed", "lvconvert --repair"),
        ({"metadata_percent": "100.00"}, "out of metadata", "lvmthin(7)"),
        ({"lv_health_status": "partial"}, "disk", "do not repair the pool before"),
    ],
)
def test_pool_that_takes_no_more_is_a_failure(
    only, backend, commands, state, words, cure
):
    commands.lvm(volumes=[_changed(POOL, **state)])
    outcome, text, said = only("thin-pool", backend())
    assert outcome is Outcome.FAILED
    assert words in text
    assert cure in said


@pytest.mark.parametrize("which", ["data_percent", "metadata_percent"])
def test_pool_that_is_nearly_full_is_told(only, backend, commands, which):
    commands.lvm(volumes=[_changed(POOL, **{which: "80.00"})])
    outcome, text, cure = only("thin-pool", backend())
    assert outcome is Outcome.WARNING
    assert "nearly full" in text
    assert "--poolmetadatasize" in cure


@pytest.mark.parametrize(
    ("free", "percent", "outcome"),
    [
        ("53687091200", "85.00", Outcome.OK),
        ("53687091200", "91.00", Outcome.WARNING),
        ("0", "85.00", Outcome.WARNING),
    ],
)
def test_pool_that_lvm_extends_may_be_fuller(
    only, backend, commands, free, percent, outcome
):
    pool = _changed(POOL, data_percent=percent, seg_monitor="monitored")
    commands.lvm(
        [_changed(GROUP, vg_free=free)],
        volumes=[pool],
        thin_pool_autoextend_threshold="70",
    )
    assert only("thin-pool", backend())[0] is outcome


def test_pool_that_nobody_watches_is_told(only, backend, commands):
    commands.lvm(volumes=[POOL], thin_pool_autoextend_threshold="70")
    outcome, text, cure = only("thin-pool", backend())
    assert outcome is Outcome.WARNING
    assert "dmeventd does not watch it" in text
    assert "lvchange --monitor y cinder-volumes/cinder-volumes-pool" in cure


def test_pool_that_is_not_active_is_no_fault(is_right, backend, commands):
    idle = _changed(POOL, lv_active="", data_percent="", metadata_percent="")
    commands.lvm(volumes=[idle])
    assert "is not active" in is_right("thin-pool", backend())
