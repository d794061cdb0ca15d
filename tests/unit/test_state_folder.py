# SPDX-License-Identifier: Apache-2.0
"""The folder of the records must be cinder-volume's alone, and outlive a reboot."""

import errno
import os
from pathlib import Path

import pytest

from taikun_cinder import durable, state_folder


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "records"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def told(node):
    """Return a function that gives what is told of a folder, with what is tolerable."""

    def told(folder):
        return {
            f"{problem.fault}. {problem.cure}": problem.tolerable
            for problem in state_folder.problems(folder, node)
        }

    return told


def _only(told):
    ((text, tolerable),) = told.items()
    return text, tolerable


def test_folder_of_its_user_alone_is_accepted(told, folder):
    assert told(folder) == {}


def test_folder_that_is_not_there_is_made_for_its_user_alone(told, tmp_path):
    assert told(tmp_path / "a" / "b") == {}
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["records", "", "./records", "../records"])
def test_folder_that_depends_on_where_a_program_starts_is_refused(
    told, tmp_path, monkeypatch, path
):
    monkeypatch.chdir(tmp_path)
    text, tolerable = _only(told(Path(path)))
    assert not tolerable
    assert "begins with /" in text
    assert not (tmp_path / "records").exists()


def test_records_of_another_user_are_warned_of(told, folder, monkeypatch):
    owner = folder.stat().st_uid
    (folder / "1.json").touch()
    assert told(folder) == {}
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    (text,) = (text for text in told(folder) if "file(s)" in text)
    assert "1 file(s)" in text
    assert "1.json" in text
    assert told(folder)[text]


@pytest.mark.parametrize("kind", ["file", "link to a file", "link to nothing"])
def test_what_is_no_folder_is_refused(told, tmp_path, kind):
    place = tmp_path / "records"
    (tmp_path / "file").touch()
    if kind == "file":
        place.touch()
    else:
        place.symlink_to("file" if kind == "link to a file" else "nothing")
    text, tolerable = _only(told(place))
    assert not tolerable
    assert f"cannot write to {place} (option taikun_state_path)" in text
    assert durable.CURE in text


def test_link_to_a_right_folder_is_accepted(told, tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    assert told(tmp_path / "link") == {}


def test_disk_without_room_is_refused(told, folder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    text, tolerable = _only(told(folder))
    assert not tolerable
    assert "No space left on device" in text


@pytest.mark.parametrize("mode", [0o702, 0o777, 0o1777])
def test_folder_that_others_can_write_to_is_refused(told, folder, mode):
    folder.chmod(mode)
    text, tolerable = _only(told(folder))
    assert not tolerable
    assert "Other users can write" in text
    assert f"chmod 700 {folder}" in text


def test_folder_that_another_group_can_write_to_is_refused(told, folder, monkeypatch):
    folder.chmod(0o770)
    monkeypatch.setattr(os, "getegid", lambda: folder.stat().st_gid + 1)
    assert not _only(told(folder))[1]
    monkeypatch.setattr(os, "getegid", lambda: folder.stat().st_gid)
    text, tolerable = _only(told(folder))
    assert tolerable
    assert "can list" in text


def test_folder_that_others_can_list_is_warned_of(told, folder):
    folder.chmod(0o755)
    text, tolerable = _only(told(folder))
    assert tolerable
    assert "0755" in text
    assert f"chmod 700 {folder}" in text


def test_folder_of_another_user_is_refused(told, folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    refusals = [text for text, tolerable in told(folder).items() if not tolerable]
    (text,) = refusals
    assert f"belongs to user {folder.stat().st_uid}" in text
    assert f"chown -R {folder.stat().st_uid + 1} {folder}" in text


@pytest.mark.parametrize(("mode", "open_"), [(0o777, True), (0o1777, False)])
def test_folder_above_in_which_others_can_replace_it_is_warned_of(
    told, tmp_path, mode, open_
):
    above = tmp_path / "above"
    (above / "records").mkdir(parents=True, mode=0o700)
    (above / "records").chmod(0o700)
    above.chmod(mode)
    said = told(above / "records")
    assert [f"{above} can be changed by other users" in text for text in said] == (
        [True] if open_ else []
    )
    assert all(said.values())


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "gfs2"])
def test_folder_that_nodes_share_is_warned_of(told, node, folder, kind):
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write(f"server:/x {folder.parent} {kind} rw 0 0\n")
    text, tolerable = _only(told(folder))
    assert tolerable
    assert f"is on {kind}" in text


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_folder_in_memory_is_warned_of(told, node, folder, kind):
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write(f"{kind} {folder.parent} {kind} rw 0 0\n")
    text, tolerable = _only(told(folder))
    assert tolerable
    assert f"in memory ({kind}" in text


def test_folder_inside_a_container_is_warned_of(told, node, folder):
    node.root.mkdir()
    (node.root / ".dockerenv").touch()
    text, tolerable = _only(told(folder))
    assert tolerable
    assert f"--volume {folder}:{folder}" in text
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write(f"/dev/sda1 {folder} ext4 rw 0 0\n")
    assert told(folder) == {}
