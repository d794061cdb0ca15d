# SPDX-License-Identifier: Apache-2.0
"""The folder of the records, and each of them, is looked at and not changed."""

import os

import pytest

from taikun_cinder.access.fence import Fence
from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.checks.findings import Outcome
from taikun_cinder.volume_record import About, Record


@pytest.fixture
def one(backend, node):
    """A back end with an empty folder of records, on a disk."""
    made = backend()
    made.records.folder.mkdir(mode=0o700)
    return made


@pytest.fixture
def enabled(cinder):
    """Return a function that sets ``enabled_backends``."""
    yield lambda *names: cinder.set_override("enabled_backends", list(names))
    cinder.clear_override("enabled_backends")


def test_folder_that_is_right(is_right, one):
    assert "can be written" in is_right("state-folder", one)
    assert list(one.records.folder.iterdir()) == []


def test_folder_that_is_not_there_is_right_and_not_made(is_right, backend):
    one = backend()
    assert "a start makes it" in is_right("state-folder", one)
    assert not one.records.folder.exists()


def test_folder_that_nobody_could_make_is_told(only, backend, tmp_path):
    (tmp_path / "file").touch()
    one = backend(taikun_state_path=str(tmp_path / "file/folder"))
    outcome, text, cure = only("state-folder", one)
    assert outcome is Outcome.FAILED
    assert "Not a directory" in text
    assert "taikun_state_path" in cure


def test_folder_on_a_read_only_disk_is_told(only, one, monkeypatch):
    def refuse(**named):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    outcome, text, _ = only("state-folder", one)
    assert outcome is Outcome.FAILED
    assert "Read-only file system" in text


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ((4096, 1000, 1000, 1000), "4 MiB and 1000 files are free"),
        ((4096, 2**20, 1000, 5), "4096 MiB and 5 files are free"),
    ],
)
def test_disk_that_is_nearly_full_is_told(only, one, monkeypatch, room, words):
    size, blocks, files, free = room

    class Room:
        f_frsize, f_bavail, f_files, f_favail = size, blocks, files, free

    monkeypatch.setattr("os.statvfs", lambda path: Room)
    outcome, text, _ = only("state-folder", one)
    assert outcome is Outcome.WARNING
    assert words in text


def test_disk_that_counts_no_files_has_room_for_them(is_right, one, monkeypatch):
    class Room:
        f_frsize, f_bavail, f_files, f_favail = 4096, 2**20, 0, 0

    monkeypatch.setattr("os.statvfs", lambda path: Room)
    is_right("state-folder", one)


def _record(backend, number, **about):
    name = f"volume-{number}"
    export = Export(f"iqn:{name}", f"/dev/g/{name}", "", frozenset(), frozenset())
    usual = {"volume": str(number), "backend": backend.host}
    record = Record(export, about=About(**{**usual, **about}))
    backend.records.save(str(number), record)


def test_records_of_this_node_are_right(is_right, one):
    _record(one, 1)
    _record(one, 2)
    assert is_right("records", one).startswith("2 record(s) in ")


def test_fences_are_told_with_their_end(is_right, only, one):
    is_right("fences", one)
    one.records.fences.keep("v1", Fence(Initiator("iqn.2026-11.x:h"), frozenset()))
    outcome, text, cure = only("fences", one)
    assert outcome is Outcome.WARNING
    assert text.endswith("keep hosts out of volumes: iqn.2026-11.x:h of v1")
    assert "--lift VOLUME HOST" in cure


def test_damaged_records_are_told_and_not_what_is_in_them(only, one):
    for number in range(5):
        _record(one, number)
    for number in range(4):
        (one.records.folder / f"{number}.json").write_text('{"form": "secret')
    outcome, text, cure = only("records", one)
    assert outcome is Outcome.WARNING
    assert text.startswith("4 record(s) in ")
    assert text.endswith(
        "cannot be read, and a boot brings nothing back by them: 0, 1, 2, ..."
    )
    assert "secret" not in text + cure
    assert "Start cinder-volume" in cure


def test_records_of_another_node_are_told(only, one):
    _record(one, 1, node="another", machine="its")
    outcome, text, cure = only("records", one)
    assert outcome is Outcome.WARNING
    assert "are of another node" in text
    assert "taikun_state_path" in cure


def test_records_of_a_back_end_that_is_gone_are_told(only, found, one, backend):
    other = backend(taikun_state_path=one.options.taikun_state_path)
    _record(one, 1)
    _record(other, 2)
    outcome, text, cure = only("records", one)
    assert outcome is Outcome.WARNING
    assert "does not have (any more): 2" in text
    assert "cinder-manage volume update_host" in cure
    assert {finding[0] for finding in found("records", one, other)} == {Outcome.OK}


def test_records_of_a_back_end_that_is_not_looked_at_are_right(
    is_right, one, backend, enabled
):
    """As with ``--backend``, where all have the default folder."""
    other = backend(taikun_state_path=one.options.taikun_state_path)
    _record(one, 1)
    _record(other, 2)
    enabled(one.name, other.name)
    is_right("records", one)
