# SPDX-License-Identifier: Apache-2.0
"""The file of the metrics: whole, readable for others, and no trouble to anybody."""

import os
import resource
import shutil
import stat
import threading

import pytest

from taikun_cinder.monitoring.textfile import Textfile, problems
from tests.unit.cloud import A
from tests.unit.monitoring.shown import Shown

TEXT = b"# HELP a b\n# TYPE a gauge\na 1\n"


@pytest.fixture
def file(tmp_path):
    """A file of metrics that says TEXT."""
    made = Textfile(tmp_path, "node@lvm", lambda: TEXT)
    yield made
    made.stop()


@pytest.fixture
def room(monkeypatch):
    """Return a function that sets how long a file may get in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def room(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield room
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _names(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_file_can_be_read_by_others_whatever_the_umask(file):
    before = os.umask(0o077)
    try:
        file.refresh()
    finally:
        os.umask(before)
    assert file.path.read_bytes() == TEXT
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o644


def test_each_back_end_has_a_file_and_no_name_leads_elsewhere(tmp_path):
    for backend in ("node@lvm", "node@lvm/../../etc", "node@two words"):
        made = Textfile(tmp_path, backend, lambda: TEXT)
        made.refresh()
        made.stop()
    assert _names(tmp_path) == {
        "taikun_cinder-node@lvm.prom",
        "taikun_cinder-node@lvm%2F..%2F..%2Fetc.prom",
        "taikun_cinder-node@two%20words.prom",
    }


def test_missing_folder_is_told_once_and_so_is_its_return(tmp_path, log):
    folder = tmp_path / "collector"
    made = Textfile(folder, "node@lvm", lambda: TEXT)
    for _ in range(3):
        made.refresh()
    (told,) = log.records
    assert told.levelname == "ERROR"
    assert told.exc_info is None
    for word in (str(folder), "No such file", "taikun_metrics_folder"):
        assert word in told.getMessage()
    folder.mkdir()
    for _ in range(2):
        made.refresh()
    made.stop()
    assert made.path.exists()
    assert [record.levelname for record in log.records] == ["ERROR", "INFO"]


def test_full_disk_leaves_the_old_file_whole_and_no_draft(file, room, log):
    file.refresh()
    file._text = lambda: TEXT * 1000
    room(100)
    for _ in range(3):
        file.refresh()
    assert file.path.read_bytes() == TEXT
    assert [path for path in file.path.parent.iterdir() if ".new" in path.name] == []
    (told,) = log.records
    assert "File too large" in told.getMessage()


def test_fault_of_the_metrics_themselves_is_told_and_ends_nothing(file, log):
    file._text = lambda: 1 / 0
    file.refresh()
    assert "ZeroDivisionError" in log.text
    file._text = lambda: TEXT
    file.refresh()
    assert file.path.read_bytes() == TEXT


def test_link_that_somebody_laid_is_not_followed(file, tmp_path):
    other = tmp_path / "another"
    other.write_text("kept")
    file._draft.symlink_to(other)
    file.path.symlink_to(other)
    file.refresh()
    assert other.read_text() == "kept"
    assert not file.path.is_symlink()


def test_two_processes_of_a_back_end_do_not_write_by_turns(file, tmp_path, log):
    file.refresh()
    second = Textfile(tmp_path, "node@lvm", lambda: b"# another\n")
    for _ in range(3):
        second.refresh()
    assert file.path.read_bytes() == TEXT
    (told,) = log.records
    assert told.levelname == "INFO"
    file.stop()
    second.refresh()
    assert file.path.read_bytes() == b"# another\n"
    second.stop()


def test_folder_that_was_made_anew_is_no_one_elses_by_an_old_lock(tmp_path, log):
    folder = tmp_path / "collector"
    folder.mkdir()
    first = Textfile(folder, "node@lvm", lambda: TEXT)
    second = Textfile(folder, "node@lvm", lambda: b"# another\n")
    first.refresh()
    shutil.rmtree(folder)
    folder.mkdir()
    second.refresh()
    first.refresh()
    assert second.path.read_bytes() == b"# another\n"
    second.stop()
    first.refresh()
    assert first.path.read_bytes() == TEXT
    first.stop()


def test_file_is_written_again_and_again_until_it_is_stopped(tmp_path):
    written = threading.Semaphore(0)

    def text():
        written.release()
        return TEXT

    made = Textfile(tmp_path, "node@lvm", text, period=0.01)
    made.start()
    for _ in range(3):
        assert written.acquire(timeout=10)
    made.stop()
    assert "taikun-metrics" not in {thread.name for thread in threading.enumerate()}


def test_folder_that_could_hold_the_service_up_is_warned_of(tmp_path, node):
    assert list(problems(str(tmp_path), node)) == []
    assert list(problems(None, node)) == list(problems("", node)) == []
    (node.proc / "mounts").write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    (problem,) = problems(str(tmp_path / "collector"), node)
    assert problem.tolerable
    assert "nfs4" in problem.fault


def test_folder_that_depends_on_where_a_program_starts_is_warned_of(tmp_path, node):
    (problem,) = problems(str(tmp_path.relative_to("/")), node)
    assert problem.tolerable
    assert "begins with /" in problem.cure


def test_service_writes_its_metrics_and_goes_on_without_the_folder(
    make_driver, lvm_command, tmp_path, log
):
    folder = tmp_path / "collector"
    driver = make_driver(
        taikun_metrics_folder=str(folder),
        lvm_conf_file=str(lvm_command),
        lvm_type="default",
    )
    for _ in range(2):  # as Cinder does where the first time fails
        driver.check_for_setup_error()
    driver._monitor._file.refresh()
    assert str(folder) in log.text
    assert driver.validate_connector(A)
    folder.mkdir()
    driver._monitor._file.refresh()
    (file,) = folder.glob("*.prom")
    now = Shown(file.read_bytes())
    assert now.value("build_info", version=driver.VERSION) == 1
    assert now.value("start_time_seconds") > 0
