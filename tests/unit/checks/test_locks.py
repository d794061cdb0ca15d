# SPDX-License-Identifier: Apache-2.0
"""Locks that cinder-volume could not take are told with their cure."""

import os
import shutil

import pytest
from cinder import coordination
from oslo_concurrency import lockutils

from taikun_cinder.checks.findings import Outcome


@pytest.fixture(params=["lock-path", "coordination"])
def check(request):
    """The checks of a folder of locks."""
    return request.param


@pytest.fixture
def folder(tmp_path, cinder):
    """The folder of both kinds of locks, which is not there yet."""
    made = tmp_path / "locks"
    before = cinder.coordination.backend_url, cinder.oslo_concurrency.lock_path
    cinder.set_override("backend_url", f"file://{made}", "coordination")
    cinder.set_override("lock_path", str(made), "oslo_concurrency")
    yield made
    cinder.set_override("backend_url", before[0], "coordination")
    cinder.set_override("lock_path", before[1], "oslo_concurrency")


def test_folder_that_a_start_makes_is_right_and_not_made(is_right, check, folder):
    is_right(check)
    assert not folder.exists()


def test_locks_that_can_be_taken_are_right(is_right, check, folder):
    folder.mkdir()
    (folder / "cinder-lioadm").touch()
    is_right(check)


@pytest.fixture
def unwritable(monkeypatch):
    """Return a function that makes a path one that may not be written."""

    def unwritable(path):
        monkeypatch.setattr(
            "os.access", lambda asked, mode: os.fspath(asked) != str(path)
        )

    return unwritable


def test_folder_that_cannot_be_written_is_told(only, check, folder, unwritable):
    folder.mkdir()
    unwritable(folder)
    outcome, text, cure = only(check)
    assert outcome is Outcome.FAILED
    assert f"Nobody can make a lock in {folder}" in text
    assert f"chown -R {os.geteuid()} {folder}" in cure


def test_folder_in_the_place_of_which_is_a_file_is_told(only, check, folder):
    folder.touch()
    assert only(check)[0] is Outcome.FAILED


def test_lock_that_root_left_is_told(only, check, folder, unwritable):
    folder.mkdir()
    (folder / "cinder-lioadm").touch()
    (folder / "cinder-other").touch()
    unwritable(folder / "cinder-lioadm")
    outcome, text, cure = only(check)
    assert outcome is Outcome.FAILED
    assert "1 lock(s)" in text
    assert "cinder-lioadm" in text
    assert f"chown -R {os.geteuid()} {folder}" in cure


def test_lock_path_that_is_not_set_is_told(only, folder, cinder, monkeypatch):
    monkeypatch.setattr(lockutils, "get_lock_path", lambda conf: None)
    outcome, text, _ = only("lock-path")
    assert outcome is Outcome.FAILED
    assert "lock_path is not set" in text


def test_locks_of_a_service_that_is_down_are_told_without_its_password(
    only, folder, cinder
):
    url = "zake+nowhere://user:secret@192.0.2.1"
    cinder.set_override("backend_url", url, "coordination")
    outcome, text, cure = only("coordination")
    assert outcome is Outcome.FAILED
    assert "zake+nowhere" in text
    assert "secret" not in text + cure


def test_locks_of_a_service_that_answers_are_right(
    is_right, folder, cinder, monkeypatch
):
    cinder.set_override("backend_url", "memcached://192.0.2.1", "coordination")
    begun = []
    for name in ("start", "stop"):
        monkeypatch.setattr(
            coordination.Coordinator,
            name,
            lambda self, name=name: begun.append(name),
        )
    assert is_right("coordination") == "memcached answers"
    assert begun == ["start", "stop"]
    shutil.rmtree(folder, ignore_errors=True)
