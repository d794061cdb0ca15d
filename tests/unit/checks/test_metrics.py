# SPDX-License-Identifier: Apache-2.0
"""A folder that takes no metrics is told, and so is what is left behind in it."""

import os

import pytest

from taikun_cinder.checks.findings import Outcome
from taikun_cinder.monitoring.textfile import Textfile


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "collector"
    made.mkdir()
    return made


def test_folder_that_can_be_written_is_right(is_right, backend, folder):
    one = backend(taikun_metrics_folder=str(folder))
    assert str(folder) in is_right("metrics", one)
    assert list(folder.iterdir()) == []


def test_folder_that_is_not_there_is_told(only, backend, folder):
    one = backend(taikun_metrics_folder=str(folder / "away"))
    outcome, text, cure = only("metrics", one)
    assert outcome is Outcome.WARNING
    assert f"{folder}/away (option taikun_metrics_folder): No such file" in text
    assert "let the user of cinder-volume write to it" in cure


def test_disk_that_is_full_is_told(only, backend, folder, monkeypatch):
    def refuse(**_named):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    outcome, text, _ = only("metrics", backend(taikun_metrics_folder=str(folder)))
    assert outcome is Outcome.WARNING
    assert "No space left" in text


def test_file_of_a_back_end_that_is_gone_is_told_once_nobody_writes_it(
    only, is_right, backend, folder
):
    one = backend(taikun_metrics_folder=str(folder))
    own, gone = (Textfile(folder, name, bytes).path for name in (one.host, "node@gone"))
    for file in (own, gone, folder / "another.prom"):
        file.touch()
        os.utime(file, (0, 0))
    outcome, text, cure = only("metrics", one)
    assert outcome is Outcome.WARNING
    assert "1 file(s)" in text
    assert "TaikunCinderMetricsStale" in text
    assert cure.endswith(f"run rm {gone}.")
    gone.touch()
    is_right("metrics", one)
