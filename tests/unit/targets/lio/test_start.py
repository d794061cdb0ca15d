# SPDX-License-Identifier: Apache-2.0
"""A privileged process that does not start is told with its cause, in time."""

import errno
import sys
import time

import pytest
from oslo_privsep import comm, daemon

from taikun_cinder import privsep
from taikun_cinder.privsep import helper, lio, setup
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio import start


@pytest.fixture
def told(cinder, monkeypatch):
    """Return a function that gives the one problem with a helper's shell script."""
    monkeypatch.setattr(setup, "prepare", list)
    monkeypatch.setattr(privsep.context, "client_mode", True)
    monkeypatch.setattr(helper, "PATIENCE", 1.0)

    def told(script):
        command = f"sh -c '{script}'"
        cinder.set_override("helper_command", command, "taikun_cinder_privsep")
        (problem,) = start.problems({3260})
        assert not problem.tolerable
        return f"{problem.fault}. {problem.cure}"

    yield told
    cinder.clear_override("helper_command", "taikun_cinder_privsep")


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("sudo: a password is required", "NOPASSWD"),
        ("sudo: a terminal is required to read the password", "NOPASSWD"),
        ("sudo: no tty present and no askpass program specified", "NOPASSWD"),
        ("cinder is not in the sudoers file.", "NOPASSWD"),
        ("Sorry, user cinder is not allowed to execute x as root", "NOPASSWD"),
        ("sudo: cinder-rootwrap: command not found", "secure_path"),
        ("sudo: privsep-helper: command not found", "secure_path"),
        (
            "/usr/bin/cinder-rootwrap: Executable not found: privsep-helper (filter",
            "exec_dirs",
        ),
        ("/usr/bin/cinder-rootwrap: Unauthorized command: privsep-helper", "filters"),
        (
            "/usr/bin/cinder-rootwrap: Incorrect configuration file: x",
            "rootwrap_config",
        ),
        (
            "ModuleNotFoundError: No module named taikun_cinder",
            "Install taikun_cinder into the Python environment",
        ),
        ("sudo: The no new privileges flag is set", "NoNewPrivileges=no"),
        ("sudo: effective uid is not 0, is sudo installed setuid", "CAP_SYS_ADMIN"),
        ("Operation not permitted", "CAP_SYS_ADMIN"),
        ("operation Not Permitted", "CAP_SYS_ADMIN"),
        ("something else", "by hand"),
    ],
)
def test_cause_is_told_with_its_cure(told, said, cure):
    text = told(f'echo "{said}" >&2; exit 1')
    assert said in text
    assert cure in text


def test_command_that_does_not_end_is_given_up(told):
    began = time.monotonic()
    assert "has not ended after 1 s" in told("exec sleep 600")
    assert time.monotonic() - began < 30


def test_command_that_starts_nothing_is_given_up(told):
    assert "has not called back after 1 s" in told("exit 0")


#: Stands for the privileged process: it answers what it is greeted with, or nothing.
_PROCESS = """\
import os, socket, sys
from oslo_privsep import comm
print("It begins.", file=sys.stderr, flush=True)
connected = socket.socket(socket.AF_UNIX)
connected.connect(sys.argv[-1])
if os.fork():
    sys.exit()
channel = comm.ServerChannel(connected)
for number, (message, *_) in channel:
    if message == comm.Message.PING and "silent" not in sys.argv:
        channel.send((number, (comm.Message.PONG.value,)))
    elif message == comm.Message.CALL:
        print("It is asked.", file=sys.stderr, flush=True)
        channel.send((number, (comm.Message.RET.value, (0, 1 << 21))))
"""


@pytest.fixture
def process(cinder, monkeypatch, tmp_path):
    """Return a function that lets the command start such a one."""
    file = tmp_path / "process.py"
    file.write_text(_PROCESS)
    monkeypatch.setattr(privsep.context, "client_mode", True)

    def lets_start(*words):
        command = " ".join([sys.executable, str(file), *words])
        cinder.set_override("helper_command", command, "taikun_cinder_privsep")

    yield lets_start
    privsep.context.stop()
    cinder.clear_override("helper_command", "taikun_cinder_privsep")


def test_process_is_started_once_and_what_it_says_is_logged(process, caplog):
    process()
    assert list(start.problems({3260}, prepare=False)) == []
    channel = privsep.context.channel
    assert list(start.problems({3260}, prepare=False)) == []
    assert privsep.context.channel is channel
    deadline = time.monotonic() + 10
    while "It is asked." not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert caplog.text.count("It begins.") == 1


def test_process_that_does_not_answer_is_given_up(process, monkeypatch):
    monkeypatch.setattr(helper, "PATIENCE", 2.0)
    process("silent")
    (problem,) = start.problems({3260}, prepare=False)
    assert "It begins." in problem.fault
    assert privsep.context.channel is None


def test_command_that_is_not_there_is_named(cinder, told):
    cinder.set_override("helper_command", "/no/helper", "taikun_cinder_privsep")
    (problem,) = start.problems({3260})
    assert "/no/helper: No such file or directory" in problem.fault


def _prepared(monkeypatch, answer):
    monkeypatch.setattr(privsep.context, "client_mode", False)
    monkeypatch.setattr(setup, "prepare", answer)
    return list(start.problems({3260}))


@pytest.mark.parametrize(
    ("doing", "cure"),
    [
        ("mount configfs (mount: permission denied)", "--privileged"),
        ("load the modules of LIO (modprobe: FATAL)", "modprobe"),
        ("run modprobe", "modprobe"),
        ("load a module", "modprobe"),
        ("set up LIO", "dmesg"),
    ],
)
def test_kernel_that_cannot_be_made_ready_is_told(monkeypatch, doing, cure):
    def refuse():
        raise KernelRefused(-1, doing, "/sys", errno.EPERM)

    (problem,) = _prepared(monkeypatch, refuse)
    assert doing in problem.fault
    assert cure in problem.cure
    assert not problem.tolerable


SYS_ADMIN, NET_BIND_SERVICE = 1 << 21, 1 << 10  # linux/capability.h


@pytest.mark.parametrize(
    ("user", "power", "ports", "lacks"),
    [
        (0, 0, {3260}, "CAP_SYS_ADMIN"),
        (0, NET_BIND_SERVICE, {3260}, "CAP_SYS_ADMIN"),
        (0, SYS_ADMIN, {860, 3260}, "CAP_NET_BIND_SERVICE"),
        (0, SYS_ADMIN, {1023}, "CAP_NET_BIND_SERVICE"),
        (0, 0, {860}, "CAP_SYS_ADMIN and CAP_NET_BIND_SERVICE"),
        (64061, SYS_ADMIN, {3260}, "root"),
        (0, SYS_ADMIN, {3260}, None),
        (0, SYS_ADMIN, {1024}, None),
        (0, SYS_ADMIN, {}, None),
        (0, SYS_ADMIN | NET_BIND_SERVICE, {860}, None),
    ],
)
def test_process_that_options_take_its_rights_from_is_told(
    monkeypatch, user, power, ports, lacks
):
    monkeypatch.setattr(privsep.context, "client_mode", True)
    monkeypatch.setattr(privsep.context, "connect", lambda: None)
    monkeypatch.setattr(setup, "power", lambda: (user, power))
    monkeypatch.setattr(setup, "prepare", list)
    told = list(start.problems(ports))
    assert len(told) == (lacks is not None)
    needed = "CAP_SYS_ADMIN"
    if min(ports, default=1024) < 1024:
        needed += ",CAP_NET_BIND_SERVICE"
    for problem in told:
        assert problem.fault.endswith(f"runs as user {user} and lacks {lacks}")
        assert f"Set capabilities = {needed} in section" in problem.cure
        assert "leave user and group out" in problem.cure


def test_process_that_is_lost_meanwhile_is_told(monkeypatch):
    def lose():
        raise daemon.FailedToDropPrivileges("privsep helper command exited non-zero")

    (problem,) = _prepared(monkeypatch, lose)
    assert "exited non-zero" in problem.fault


@pytest.mark.parametrize("error", [ModuleNotFoundError, NameError])
def test_process_of_another_version_is_told(monkeypatch, error):
    def unknown():
        raise error("taikun_cinder.privsep.setup")

    (problem,) = _prepared(monkeypatch, unknown)
    assert "another version" in problem.fault
    assert "Install the same version" in problem.cure


def test_missing_folder_for_reservations_is_a_warning(monkeypatch):
    (problem,) = _prepared(monkeypatch, lambda: [("/etc/target/pr", errno.EROFS)])
    assert problem.tolerable
    assert "Read-only file system" in problem.fault
    assert "mkdir -m 700 -p /etc/target/pr" in problem.cure


def test_kernel_without_lio_is_not_asked_to_make_it_ready(monkeypatch):
    monkeypatch.setattr(privsep.context, "client_mode", False)
    monkeypatch.setattr(setup, "prepare", lambda: pytest.fail("it was asked"))
    assert list(start.problems({3260}, prepare=False)) == []


def test_node_that_is_ready_is_told_nothing(monkeypatch):
    assert _prepared(monkeypatch, list) == []


def test_what_root_does_not_allow_is_told_with_file_option_and_cure(monkeypatch):
    monkeypatch.setattr(privsep.context, "client_mode", False)
    told = list(
        start.problems({3260}, prefixes=["iqn.2030-01.x:"], group="mine", prepare=False)
    )
    assert [("iqn.2030" in one.fault, "'mine'" in one.fault) for one in told] == [
        (True, False),
        (False, True),
    ]
    for one, option in zip(told, ("target_prefixes", "volume_groups"), strict=True):
        assert f"option {option}" in one.fault
        assert "/etc/taikun_cinder/privileged.conf" in one.fault
        assert "root add it there" in one.cure
        assert not one.tolerable


def test_cure_is_the_last_sentence_of_what_root_does_not_allow(monkeypatch):
    monkeypatch.setattr(privsep.context, "client_mode", False)
    said = "The group a. b is another's. See the option c. Let root add it there"
    monkeypatch.setattr(lio, "refusals", lambda prefix, group: [said])
    (told,) = start.problems({3260}, prefixes=["iqn.x:"], group="b", prepare=False)
    assert told.fault.endswith("The group a. b is another's. See the option c")
    assert told.cure == "Let root add it there."


#: What a call ends with, and what is told of it.
_ENDS = {
    "no answer": (comm.PrivsepTimeout("no word for 120 s"), "no word for 120 s"),
    "an error without words": (OSError(), "OSError"),
    "another version": (NameError("no call power"), "no call power"),
}


@pytest.mark.parametrize("how", _ENDS)
def test_process_that_does_not_serve_is_told_with_a_cure(monkeypatch, how):
    error, words = _ENDS[how]

    def power():
        raise error

    monkeypatch.setattr(privsep.context, "client_mode", True)
    monkeypatch.setattr(privsep.context, "connect", lambda: None)
    monkeypatch.setattr(setup, "power", power)
    (problem,) = start.problems({3260})
    assert words in problem.fault
    assert ("by hand" in problem.cure) == (how != "another version")
    assert ("same version" in problem.cure) == (how == "another version")
