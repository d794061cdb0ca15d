# SPDX-License-Identifier: Apache-2.0
"""The command as operators call it: which configuration it reads, and what it says."""

import errno
import io
import os

import pytest
from oslo_config import cfg

from taikun_cinder import version
from taikun_cinder.cli import configuration, main
from tests.unit import commands


@pytest.fixture
def call(tmp_path):
    """Return a function that calls the command at home in a folder of its own."""
    home = tmp_path / "home"
    (home / ".cinder").mkdir(parents=True)
    # A command that finds its configuration looks for the state there.
    (home / ".cinder" / "cinder.conf").write_text(f"[DEFAULT]\nstate_path = {home}\n")

    def call(*arguments, **files):
        for name, text in files.items():
            path = home / ".cinder" / name.replace("__", "/").replace("_", "-")
            path = path.with_name(f"{path.name}.conf")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        return commands.call("taikun_cinder.cli.main", arguments, environment)

    return call


def test_version_is_that_of_the_driver(call):
    done = call("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == version.text()


@pytest.mark.parametrize("name", ["cinder", "cinder_volume"])
def test_it_reads_what_cinder_volume_reads(call, name):
    done = call("reconcile", **{name: "[DEFAULT]\nenabled_backends = lost\n"})
    assert done.returncode == 2
    assert "names lost, and there is no section [lost]" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nenabled_backends\n", ["enabled_backends", "cinder-volume.conf"]),
        ("[DEFAULT]\nenabled_backends = $nowhere\n", ["enabled_backends"]),
        ("[DEFAULT]\nlog_config_append = /nowhere/log.ini\n", ["/nowhere/log.ini"]),
        ("[DEFAULT]\nsyslog_log_facility = x\nuse_syslog = true\n", ["facility"]),
        ("[DEFAULT]\nlog_file = /proc/nowhere/log\n", ["log", "cinder-volume's user"]),
    ],
)
def test_a_broken_configuration_is_one_clear_line_and_a_status(call, text, words):
    done = call("restore", cinder_volume=text)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("taikun-cinder: ")
    assert all(word in line for word in words), line


def test_what_is_logged_is_no_part_of_the_answer(call):
    driver = "taikun_cinder.driver.MultiattachLVMDriver"
    text = f"[DEFAULT]\nenabled_backends = lvm\n[lvm]\nvolume_driver = {driver}\n"
    done = call("--debug", "volume", "list", "-f", "json", cinder=text)
    assert "DEBUG" in done.stderr
    assert "DEBUG" not in done.stdout
    quiet = call("volume", "list", "-f", "json", cinder=text)
    assert "INFO" not in quiet.stderr + quiet.stdout
    service = text.replace("[DEFAULT]", "[DEFAULT]\ndebug = true")
    assert "DEBUG" not in call("volume", "list", cinder=service).stderr


def test_name_that_the_terminal_cannot_show_does_not_take_the_answer_away(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    assert main.main(["help"]) == 0
    out.write("host \u65e5")
    out.flush()
    assert out.buffer.getvalue().endswith(b"host \\u65e5")


def test_a_missing_configuration_is_one_clear_line_and_a_status(call):
    done = call("--config-file", "/nowhere/cinder.conf", "restore")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "/nowhere/cinder.conf" in line
    assert "--config-file" in line.partition("/nowhere/cinder.conf")[2]


def test_a_configuration_that_is_closed_to_the_user_is_told_with_whom_it_is_open_to(
    monkeypatch,
):
    def read(*_arguments, **_more):
        raise cfg.ConfigFilesPermissionDeniedError(["/etc/cinder/cinder.conf"])

    monkeypatch.setattr(configuration, "_read", read)
    with pytest.raises(configuration.UnreadableError, match="user of cinder-volume"):
        configuration.read("taikun-cinder", [], [], debug=False)


def test_a_wrong_verb_is_told_with_those_that_there_may_be(call):
    done = call("restoer", cinder="")
    assert done.returncode == 2
    assert "restore" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",), ("--debug",)])
def test_without_a_verb_all_are_told(call, arguments):
    done = call(*arguments)
    assert done.returncode == 0
    for verb in main.VERBS:
        assert f"  {verb} " in done.stdout
    assert " VERB " in done.stdout.splitlines()[0]
    assert "Could not" not in done.stdout


@pytest.mark.parametrize("verb", sorted(main.VERBS))
def test_each_verb_tells_its_exit_statuses_and_an_example(verb):
    known = main.Verbs("taikun_cinder.cli")
    made, name, rest = known.find_command(verb.split())
    assert (name, rest) == (verb, [])
    parser = made(main.Application(), None, cmd_name=verb).get_parser("taikun-cinder")
    told = parser.format_help()
    assert "The exit status is 0" in told
    example = told.rpartition("Example:")[2].split()
    assert (
        verb.split()
        == example[example.index("taikun-cinder") + 1 :][: len(verb.split())]
    )


def test_an_option_of_a_verb_may_be_mistaken_and_changes_nothing(call):
    done = call("restore", "--yes")
    assert done.returncode == 2
    assert "--yes" in done.stderr


class _Full(io.StringIO):
    """A file on a disk that is full when what was kept back is written."""

    def flush(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("out", "ended", "status", "told"),
    [
        (io.StringIO(), 0, 0, ""),
        (io.StringIO(), 2, 2, ""),
        (None, 0, 0, ""),
        (None, 2, 2, ""),
        (_Full(), 0, 1, "taikun-cinder: the answer is lost: No space left on device"),
        (_Full(), 2, 2, "taikun-cinder: the answer is lost: No space left on device"),
    ],
)
def test_process_ends_with_the_commands_status(
    monkeypatch, capsys, out, ended, status, told
):
    class EndedError(Exception):
        pass

    def end(status):
        raise EndedError(status)

    monkeypatch.setattr(main, "main", lambda: ended)
    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("sys.stdout", out)
    with pytest.raises(EndedError, match=str(status)):
        main.run()
    assert capsys.readouterr().err.strip() == told


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_stream_that_the_caller_has_closed_changes_no_status(monkeypatch, stream):
    monkeypatch.setattr(main, "main", lambda: 2)
    monkeypatch.setattr(f"sys.{stream}", None)
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    main.run()
    assert ended == [2]
