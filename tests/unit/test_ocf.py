# SPDX-License-Identifier: Apache-2.0
"""The resource agent says what Pacemaker is to do, and asks for no more than needed.

Here the kernel is a folder, and the command a script. ``tests/lab/test_failover.py``
has ocf-tester over a real kernel.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

AGENT = Path(__file__).resolve().parents[2] / "etc" / "ocf" / "exports"

OK, GENERIC, INSTALLED, CONFIGURED, NOT_RUNNING, DEGRADED = 0, 1, 5, 6, 7, 190

#: What every agent gets from the package resource-agents, as far as ours uses it.
_FUNCTIONS = """\
OCF_SUCCESS=0 OCF_ERR_GENERIC=1 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_INSTALLED=5
OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7
ocf_log() { echo "$@" >&2; }
ocf_exit_reason() { echo "reason: $*" >&2; }
ocf_is_true() { case $1 in 1 | true | yes) return 0 ;; *) return 1 ;; esac; }
"""

#: A command that exports as many volumes as there are records, and logs its calls.
_COMMAND = """\
#!/bin/sh
echo "$*" >> {base}/calls
case "$*" in
*audit*) cat {base}/differences 2>/dev/null; exec sleep "$(cat {base}/slow)" ;;
*unexport*) rm -rf {core}/iblock_1 ;;
*restore*)
    case "$*" in
    *--when-told*)
        [ ! -e {base}/early ] || exit 2
        read -r word
        echo "$word" >> {base}/words
        [ "$word" = go ] || exit 2 ;;
    esac
    echo "$*" >> {base}/restoring
    [ ! -e {base}/shot ] || {{ rm {base}/shot; kill -KILL $$; }}
    while [ -e {base}/hang ]; do sleep 0.02; done
    [ ! -e {base}/broken ] || {{ echo "No module named 'oslo_config'"; exit 1; }}
    cat {base}/said 2>/dev/null
    echo "2 of 3 volumes recorded in /srv are exported"
    while read -r group; do
        mkdir -p {core}/iblock_1/$group
        echo /dev/$group/volume-1 > {core}/iblock_1/$group/udev_path
    done < {base}/records ;;
esac
exit "$(cat {base}/status)"
"""


class Agent:
    """The agent of the back end lvm1, whose volume group is vg."""

    def __init__(self, folder):
        self._folder = folder
        self.core = folder / "config/target/core"
        (self.core / "alua").mkdir(parents=True)
        self._make("lib/ocf-shellfuncs", _FUNCTIONS)
        self._make("bin/runuser", '#!/bin/sh\nshift 3\nexec "$@"\n')
        # LVM may wait for the cluster, and nobody may wait for it.
        self._make(
            "bin/vgchange",
            f'#!/bin/sh\necho "$*" >> {folder}/lvm\nexec tail -f {folder}/lvm\n',
        )
        self.command = self._make(
            "bin/taikun-cinder", _COMMAND.format(base=folder, core=self.core)
        )
        text = AGENT.read_text().replace("/sys/kernel/config", str(folder / "config"))
        text = text.replace("/etc/cinder", str(folder / "etc"))
        self.path = self._make("exports", text)
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        for name, content in {"status": "0", "slow": "0", "records": "vg\n"}.items():
            self.set(name, content)

    def _make(self, name, text):
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def set(self, name, content):
        (self._folder / name).write_text(content)

    def lines(self, name):
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, name):
        """Give the lines of a file, once there are any."""
        deadline = time.monotonic() + 60
        while not (lines := self.lines(name)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return lines

    @property
    def calls(self):
        return self.lines("calls")

    @property
    def exports(self):
        return list(self.core.glob("iblock_*/*"))

    @property
    def processes(self):
        """The numbers of all processes of the agent and of its command."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if str(self._folder).encode() in b" ".join(words):
                    found.append(int(process.name))
        return found

    def kill_what_is_ready(self):
        """Kill all processes of the agent and of its command."""
        for process in self.processes:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)

    def give_up(self, action):
        """Begin an action, and end it while it exports, as at its time-out."""
        self.set("hang", "")
        begun = subprocess.Popen(
            [self.path, action],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self.wait_for("restoring")
        os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()

    def _environment(self, level=0, **parameters):
        given = {
            "backend": "lvm1",
            "volume_group": "vg",
            "command": str(self.command),
            "user": "root",
        }
        return {
            "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}",
            "OCF_FUNCTIONS_DIR": str(self._folder / "lib"),
            "HA_RSCTMP": str(self.run_folder),
            "OCF_CHECK_LEVEL": str(level),
            "OCF_RESKEY_CRM_meta_timeout": "3000",
            **{f"OCF_RESKEY_{k}": v for k, v in {**given, **parameters}.items()},
        }

    def __call__(self, action, **parameters):
        """Give the status of an action; what it said is kept."""
        done = subprocess.run(
            [self.path, action],
            env=self._environment(**parameters),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        self.said = done.stdout + done.stderr
        return done.returncode


@pytest.fixture
def agent(tmp_path):
    made = Agent(tmp_path)
    yield made
    made.kill_what_is_ready()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck")
def test_shellcheck_has_nothing_to_say():
    done = subprocess.run(
        ["shellcheck", AGENT], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_it_tells_about_itself(agent):
    assert agent("meta-data", backend="", volume_group="") == OK
    tree = ElementTree.fromstring(agent.said)  # noqa: S314 - our own
    assert tree.attrib["name"] == AGENT.name
    offered = {action.attrib["name"] for action in tree.iter("action")}
    assert offered == {"start", "stop", "monitor", "validate-all", "meta-data"}
    for parameter in tree.iter("parameter"):
        assert f"OCF_RESKEY_{parameter.attrib['name']}" in AGENT.read_text()
        # Or pcs refuses the second member of a group with the same ones (ahead=1).
        assert "unique" not in parameter.attrib


def test_it_starts_and_stops_once_and_again(agent):
    assert agent("monitor") == NOT_RUNNING
    for _ in range(2):
        assert agent("start") == OK
        assert agent("monitor") == OK
    for _ in range(2):
        assert agent("stop") == OK
        assert agent("monitor") == NOT_RUNNING
    assert agent.calls == [
        *["restore --backend lvm1"] * 2,
        "unexport --backend lvm1",
    ]


def test_it_runs_though_no_host_has_a_volume(agent):
    agent.set("records", "")
    assert agent("start") == OK
    assert agent("monitor") == OK
    assert agent("monitor", level=10) == OK
    assert agent("stop") == OK
    assert agent("monitor") == NOT_RUNNING


def test_prepared_start_exports_when_its_turn_comes(agent):
    assert agent("monitor", ahead="1") == NOT_RUNNING
    assert agent("start", ahead="1") == OK
    assert agent("monitor", ahead="1") == OK
    assert agent("monitor") == NOT_RUNNING
    agent.wait_for("calls")
    assert agent.wait_for("lvm") == ["--lockstart vg"]
    assert not agent.exports
    assert agent("start") == OK
    assert agent.exports
    assert agent.calls == ["restore --backend lvm1 --when-told"]
    # What was ready is used up, and is not needed while the exports are here.
    assert agent("monitor", ahead="1") == OK
    assert agent("start") == OK
    assert agent.calls[1:] == ["restore --backend lvm1"]
    assert agent("stop") == OK
    assert agent("monitor", ahead="1") == OK
    assert agent("start") == OK
    assert agent.calls[-1] == "restore --backend lvm1 --when-told"
    assert agent("stop", ahead="1") == OK
    assert agent("monitor", ahead="1") == NOT_RUNNING


@pytest.mark.parametrize("loss", ["killed", "upgraded", "configured", None])
def test_start_that_is_not_ready_any_more_is_prepared_again(agent, tmp_path, loss):
    file = tmp_path / "lvm1.conf"
    file.touch()
    agent("start", ahead="1", config=str(file))
    agent.wait_for("calls")
    if loss == "killed":
        agent.kill_what_is_ready()
    elif loss == "upgraded":
        os.utime(agent.command, (1, 1))
    elif loss == "configured":
        file.write_text("[lvm1]")
    assert agent("monitor", ahead="1", config=str(file)) == OK
    assert agent("start", config=str(file)) == OK
    assert len(agent.calls) == (2 if loss else 1)
    assert all("--when-told" in call for call in agent.calls)


@pytest.mark.parametrize("change", ["edited", "another"])
def test_prepared_start_of_another_configuration_is_not_used(agent, tmp_path, change):
    file, other = tmp_path / "lvm1.conf", tmp_path / "other.conf"
    for one in (file, other):
        one.write_text("[lvm1]")
    agent("start", ahead="1", config=str(file))
    agent.wait_for("calls")
    if change == "edited":
        file.write_text("[lvm2]")
    now = other if change == "another" else file
    assert agent("start", config=str(now)) == OK
    assert agent.exports
    assert agent.calls[1:] == [f"--config-file {now} restore --backend lvm1"]
    assert agent("stop", config=str(now)) == OK
    assert not agent.processes


def test_prepared_start_of_the_same_configuration_is_used(agent, tmp_path):
    file = tmp_path / "lvm1.conf"
    file.touch()
    agent("start", ahead="1", config=str(file))
    assert agent("start", config=str(file)) == OK
    assert len(agent.calls) == 1


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", ["cinder.conf", "cinder.conf.d/lvm1.conf"])
def test_prepared_start_of_another_usual_file_is_not_used(agent, tmp_path, name, named):
    usual = tmp_path / "etc" / name
    usual.parent.mkdir(parents=True)
    usual.write_text("[lvm1]")
    config = str(AGENT) if named else ""
    agent("start", ahead="1", config=config)
    agent.wait_for("calls")
    usual.write_text("[lvm1]\ntarget_port = 3261")
    assert agent("start", config=config) == OK
    assert not agent.calls[-1].endswith("--when-told")


def test_word_may_come_before_the_command_listens(agent):
    agent("start", ahead="1")
    assert agent("start") == OK
    assert agent.calls == ["restore --backend lvm1 --when-told"]


def test_prepared_start_that_is_needed_no_more_ends(agent):
    agent("start", ahead="1")
    agent.wait_for("calls")
    before = set(agent.processes)
    assert before
    assert agent("start", ahead="1") == OK
    assert not before & set(agent.processes)
    assert agent("stop", ahead="1") == OK
    assert not agent.processes
    assert not agent.exports


def test_prepared_start_ends_though_its_number_could_not_be_written(agent):
    # As where /run is full. The stop of the exports must not fail for it.
    agent.path.write_text(
        agent.path.read_text().replace('>"$ahead/group"', '>"$ahead/group" >/dev/full')
    )
    agent("start", ahead="1")
    assert agent("stop") == OK
    assert agent("stop", ahead="1") == OK
    assert not agent.processes


def test_look_at_what_is_ready_ends_no_other_process(agent):
    agent("start", ahead="1")
    agent.wait_for("calls")
    agent.kill_what_is_ready()
    [folder] = agent.run_folder.glob("*-ahead-*")
    other = subprocess.Popen(["sleep", "60"], process_group=0)
    (folder / "group").write_text(str(other.pid))  # which is given anew some day
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # as another action that looks
            assert agent("stop") == OK
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_locks_that_cannot_be_joined_gather_no_processes(agent):
    agent.set("early", "")  # the command ends at once
    assert agent("start", ahead="1") == OK
    agent.wait_for("lvm")
    for _ in range(3):
        time.sleep(0.3)
        assert agent("monitor", ahead="1") == OK
    time.sleep(0.3)
    assert agent.lines("lvm") == ["--lockstart vg"]


def test_prepared_start_ends_before_it_has_begun(agent):
    for _ in range(5):
        assert agent("start", ahead="1") == OK
        assert agent("stop", ahead="1") == OK
        assert not agent.processes


@pytest.mark.parametrize("prepared", [True, False])
def test_start_that_is_ended_exports_nothing_behind_the_stop(agent, prepared):
    if prepared:
        agent("start", ahead="1")
    agent.give_up("start")
    assert agent("stop") == OK
    assert not agent.processes
    assert agent.exports == []


def test_clone_that_is_restarted_meanwhile_holds_up_no_start(agent, tmp_path):
    agent("start", ahead="1")
    agent.wait_for("calls")
    restart = tmp_path / "restart"
    restart.touch()
    flock = tmp_path / "bin/flock"
    flock.write_text(  # the start waits for what is ready, and has told it to go
        f'#!/bin/sh\n[ "$1" = -n ] || ! rm {restart} 2>/dev/null ||\n'
        f"    OCF_RESKEY_ahead=1 {agent.path} start\n"
        f'exec {shutil.which("flock")} "$@"\n'
    )
    flock.chmod(0o755)
    assert agent("start") == OK
    assert agent.exports
    assert not restart.exists()


def test_prepared_start_that_ends_badly_is_made_anew(agent):
    agent("start", ahead="1")
    agent.set("shot", "")
    assert agent("start") == OK
    assert agent.exports
    assert agent.calls[1:] == ["restore --backend lvm1"]


def test_prepared_start_that_was_killed_is_made_anew(agent):
    agent("start", ahead="1")
    agent.wait_for("calls")
    agent.kill_what_is_ready()
    assert agent("start") == OK
    assert agent.exports
    assert agent.calls[1:] == ["restore --backend lvm1"]


def test_prepared_start_tells_what_fails(agent):
    agent("start", ahead="1")
    agent.set("status", "1")
    agent.set("said", "volume 1 is broken\n")
    assert agent("start") == OK
    assert "volume 1 is broken" in agent.said
    agent.set("status", "2")
    agent("start", ahead="1")
    assert agent("start") == GENERIC
    assert "reason: nothing could be exported" in agent.said


def test_boot_forgets_that_it_ran(agent):
    agent("start")
    shutil.rmtree(agent.core)
    for file in agent.run_folder.iterdir():
        file.unlink()
    assert agent("monitor") == NOT_RUNNING


def test_what_is_exported_without_a_start_is_found_and_stopped(agent):
    agent("start")
    for file in agent.run_folder.iterdir():
        file.unlink()
    assert agent("monitor") == OK
    assert agent("stop") == OK
    assert agent("monitor") == NOT_RUNNING


def test_exports_of_another_group_are_not_its_own(agent):
    agent.set("records", "vg-other\nother\n")
    agent("start")
    for file in agent.run_folder.iterdir():
        file.unlink()
    assert agent("monitor") == NOT_RUNNING
    assert agent("stop") == OK
    assert "unexport --backend lvm1" not in agent.calls


def test_volume_that_fails_moves_no_other(agent):
    agent.set("status", "1")
    assert agent("start") == OK
    assert "not all volumes are exported" in agent.said


def test_start_that_does_nothing_has_failed(agent):
    agent.set("records", "")
    agent.set("status", "2")
    agent.set("said", "a warning\ntaikun-cinder: the cause\ntaikun-cinder: the end\n")
    assert agent("start") == GENERIC
    assert "reason: nothing could be exported: taikun-cinder: the cause" in agent.said
    assert agent("monitor") == NOT_RUNNING


@pytest.mark.parametrize("prepared", [True, False])
def test_command_that_cannot_begin_has_started_nothing(agent, prepared):
    if prepared:
        agent("start", ahead="1")
    agent.set("broken", "")
    assert agent("start") == GENERIC
    assert "reason: nothing could be exported: No module named 'oslo_c" in agent.said
    assert agent("monitor") == NOT_RUNNING


def test_export_that_stays_makes_the_stop_fail(agent):
    agent("start")
    agent.set("status", "1")
    assert agent("stop") == GENERIC
    assert "reason: not all exports are removed" in agent.said


def test_export_that_the_command_does_not_know_makes_the_stop_fail(agent):
    agent("start")
    other = agent.core / "iblock_2/by-hand"
    other.mkdir(parents=True)
    (other / "udev_path").write_text("/dev/vg/by-hand\n")
    assert agent("stop") == GENERIC
    assert "volumes of vg are exported still" in agent.said


@pytest.mark.parametrize("level", [0, 10])
def test_difference_is_shown_and_disturbs_no_host(agent, level):
    agent("start")
    agent.set("differences", "volume-1 acl somebody edited it\n")
    assert agent("monitor", level=level) == (DEGRADED if level else OK)


def test_disk_that_holds_up_a_look_at_the_kernel_takes_no_other_away(agent):
    agent("start")
    folder = agent.core / "iblock_1/vg"
    (folder / "udev_path").unlink()
    os.mkfifo(folder / "udev_path")  # as an HBA that is at work: nobody can look there
    assert agent("monitor") == OK


@pytest.mark.parametrize("trouble", [{"slow": "30"}, {"status": "2"}])
def test_database_that_does_not_answer_is_no_fault_of_the_exports(agent, trouble):
    agent("start")
    for name, content in trouble.items():
        agent.set(name, content)
    assert agent("monitor", level=10) == OK


def test_it_reads_the_files_of_its_cinder_volume(agent, tmp_path):
    files = [tmp_path / "cinder.conf", tmp_path / "lvm1.conf"]
    for file in files:
        file.touch()
    assert agent("start", config=f"{files[0]} {files[1]}") == OK
    first, second = files
    assert agent.calls == [
        f"--config-file {first} --config-file {second} restore --backend lvm1"
    ]


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"backend": ""}, CONFIGURED),
        ({"volume_group": ""}, CONFIGURED),
        ({"command": "/no/such/command"}, INSTALLED),
        ({"user": "no-such-user"}, INSTALLED),
        ({"config": "/no/such/file"}, INSTALLED),
    ],
)
def test_wrong_parameter_is_told_before_anything_is_done(agent, parameters, status):
    for action in ("validate-all", "start"):
        assert agent(action, **parameters) == status
        assert "reason: " in agent.said
    assert agent.calls == []
    # As on a node where nothing is installed.
    assert agent("monitor", **parameters) == NOT_RUNNING
    assert agent("stop", **parameters) == OK
