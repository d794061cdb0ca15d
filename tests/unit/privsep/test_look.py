# SPDX-License-Identifier: Apache-2.0
"""A look tells what real tools have put on a disk, and hostile disks harm nobody."""

import contextlib
import errno
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oslo_privsep import capabilities

from taikun_cinder.access.contents import SHAREABLE, Content
from taikun_cinder.privsep import checks, context, look, ours, probe
from taikun_cinder.privsep.refusal import Unseen
from tests.unit.privsep import disks

_FOLDER = str(Path(probe.__file__).parent)


@pytest.fixture(autouse=True)
def _device(monkeypatch):
    """Let a file be a logical volume of ours, and this process the privileged one."""
    monkeypatch.setattr(context, "client_mode", False)
    monkeypatch.setattr(checks, "device", lambda path: path)
    monkeypatch.setattr(ours, "opened", lambda path: os.open(path, os.O_RDONLY))


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Return a function that puts another program in the place of ours."""
    path = tmp_path / "program.py"
    monkeypatch.setattr(look, "_PROGRAM", str(path))

    def write(text):
        path.write_text(textwrap.dedent(text))

    return write


@pytest.fixture
def blank(tmp_path):
    return str(disks.blank(tmp_path / "blank", 16))


def _children():
    """Give the children of this thread, but for those of ``tests.unit.commands``."""
    task = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return [
        child
        for child in task.read_text().split()
        if b"multiprocessing" not in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("name", disks.COMMANDS)
def test_what_real_tools_write_is_told(tmp_path, name):
    disk = disks.filled(tmp_path / "disk", name)
    kind, _, detail = name.partition(" ")
    assert look.contents(str(disk)) == [(kind, detail, 0)]


@pytest.mark.parametrize(
    ("how", "detail"),
    [
        ({}, ""),
        ({"lock": "sanlock"}, "shared"),
        ({"lock": "dlm"}, "shared"),
        ({"lock": "idm"}, "shared"),
        ({"lock": "none"}, ""),
        ({"status": "CLUSTERED"}, "shared"),
        ({"lock": "dlm", "at": 65536 - 100}, "shared"),
        ({"lock": "dlm", "at": 65536}, "shared"),
        ({"lock": "dlm", "at": 1 << 50}, ""),
    ],
)
def test_volume_group_that_servers_share_is_told_from_another(tmp_path, how, detail):
    disk = tmp_path / "disk"
    if how.get("at", 0) <= 65536:
        disks.physical_volume(disk, **how)
    else:
        disks.physical_volume(disk)
        disks.put(disk, 4096 + 40, how["at"].to_bytes(8, "little"))
    assert look.contents(str(disk)) == [("LVM2_member", detail, 0)]


def test_volume_group_that_was_shared_once_is_not_any_more(tmp_path):
    before = disks.physical_volume(tmp_path / "before", lock="sanlock")
    text = before.read_bytes()[4096 + 512 : 4096 + 1024]
    disk = disks.physical_volume(tmp_path / "disk")
    # LVM does not wipe it when the group is removed, and another one made.
    disks.put(disk, 4096 + 1024, text)
    assert look.contents(str(disk)) == [("LVM2_member", "", 0)]


@pytest.mark.parametrize(
    ("kind", "place", "magic"),
    [
        ("oracleasm", 32, b"ORCLDISK"),
        ("VMFS_volume_member", 1 << 20, b"\x0d\xd0\x01\xc0"),
        ("VMFS", 2 << 20, b"\x5e\xf1\xab\x2f"),
        ("iso9660", 32768, b"\x01CD001"),
    ],
)
def test_what_has_no_tool_here_is_told_too(blank, kind, place, magic):
    disks.put(Path(blank), place, magic)
    assert look.contents(blank) == [(kind, "", 0)]
    assert Content(kind).may_be_shared


def test_all_that_may_be_shared_is_named_as_libblkid_names_it():
    known = subprocess.run(["/sbin/blkid", "-k"], capture_output=True, check=True)
    newer = {"scoutfs_meta", "scoutfs_data"}  # 2.42
    kinds = {kind for kind, _ in SHAREABLE}
    assert kinds - newer <= set(known.stdout.decode().split())


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_partitions_are_looked_into(tmp_path, label):
    second = 2 if label == "gpt" else 5
    ext4 = disks.filled(tmp_path / "ext4", "ext4")
    xfs = disks.filled(tmp_path / "xfs", "xfs")
    disk = disks.partitioned(tmp_path / "disk", label, {1: ext4, second: xfs})
    assert look.contents(str(disk)) == [("ext4", "", 1), ("xfs", "", second)]


@pytest.mark.parametrize(("how", "detail"), [({}, ""), ({"lock": "sanlock"}, "shared")])
def test_lvm_and_cluster_file_systems_on_partitions_are_told(tmp_path, how, detail):
    group = disks.physical_volume(tmp_path / "group", **how)
    ocfs2 = disks.filled(tmp_path / "ocfs2", "ocfs2 local")
    disk = disks.partitioned(tmp_path / "disk", "gpt", {1: group, 2: ocfs2})
    assert look.contents(str(disk)) == [
        ("LVM2_member", detail, 1),
        ("ocfs2", "local", 2),
    ]


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_partitions_with_nothing_known_are_nothing(tmp_path, label):
    assert look.contents(str(disks.partitioned(tmp_path / "disk", label, {}))) == []


def test_blank_and_unknown_are_nothing(tmp_path, blank):
    assert look.contents(blank) == []
    noise = random.Random(1).randbytes(4 * disks.MEBIBYTE)  # noqa: S311 - a database
    assert look.contents(str(disks.put(Path(blank), 0, noise))) == []


def test_all_signatures_of_an_ambivalent_disk_are_told(tmp_path):
    disk = disks.filled(tmp_path / "disk", "ext4")
    swap = disks.filled(tmp_path / "swap", "swap").read_bytes()[:4096]
    disks.put(disk, 4096 - 10, swap[-10:])
    disks.put(disk, 1024, disk.read_bytes()[1024:2048])
    btrfs = disks.filled(tmp_path / "btrfs", "btrfs").read_bytes()
    disks.put(disk, 65536, btrfs[65536 : 65536 + 4096])
    with disk.open("r+b") as file:
        file.truncate(128 * disks.MEBIBYTE)
    assert {kind for kind, *_ in look.contents(str(disk))} >= {"ext4", "btrfs"}


@pytest.mark.parametrize("name", ["ext4", "xfs", "vfat"])
def test_what_may_be_shared_hides_nothing_that_may_not(tmp_path, name):
    disk = disks.filled(tmp_path / "disk", name)
    disks.put(disk, 1 << 20, b"\x0d\xd0\x01\xc0")
    assert look.contents(str(disk)) == [("VMFS_volume_member", "", 0), (name, "", 0)]


def test_shared_volume_group_hides_nothing_either(tmp_path):
    disk = disks.physical_volume(tmp_path / "disk", lock="sanlock")
    btrfs = disks.filled(tmp_path / "btrfs", "btrfs").read_bytes()
    disks.put(disk, 65536, btrfs[65536 : 65536 + 4096])
    os.truncate(disk, 128 * disks.MEBIBYTE)
    assert look.contents(str(disk)) == [("LVM2_member", "shared", 0), ("btrfs", "", 0)]


def test_half_written_superblock_is_nothing(tmp_path):
    disk = disks.filled(tmp_path / "disk", "ext4")
    disks.put(disk, 1024, bytes(60))  # its magic is at 1080
    disks.put(disk, 1084, bytes(200))
    assert look.contents(str(disk)) == []


def test_disk_that_shrank_under_its_partitions_is_told_as_far_as_it_goes(tmp_path):
    xfs = disks.filled(tmp_path / "xfs", "xfs")
    ext4 = disks.filled(tmp_path / "ext4", "ext4")
    disk = disks.partitioned(tmp_path / "disk", "dos", {1: ext4, 5: xfs})
    for size, found in ((200, [1, 5]), (50, [1]), (1, [])):
        os.truncate(disk, size * disks.MEBIBYTE)
        told = look.contents(str(disk))
        assert [number for _, _, number in told] == found


# -- what the program may


_TRIES = """
import errno, os, socket, sys
sys.path.insert(0, sys.argv[1])
import probe

def told(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

probe._library()
probe.become_harmless()
tries = (
    lambda: os.open("/dev/null", os.O_RDONLY),
    socket.socket,
    lambda: os.dup(0),
    os.fork,
    lambda: os.setuid(0),
    lambda: os.kill(int(sys.argv[2]), 0),
    lambda: os.pwrite(0, b"x", 0),
)
os.write(1, " ".join(map(told, tries)).encode() + b"\\n")
os.read(2, 1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_program_has_no_rights_left(blank):
    reads, holds = os.pipe()
    with open(blank, "rb") as disk:
        started = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TRIES, _FOLDER, str(os.getpid())],
            stdin=disk,
            stdout=subprocess.PIPE,
            stderr=reads,
        )
    assert started.stdout
    told = started.stdout.readline().decode().split()
    files = ["EMFILE", "EMFILE", "EINVAL"]
    assert told == [*files, "EAGAIN", "EPERM", "EPERM", "EBADF"]
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{started.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    os.close(holds)
    started.communicate()
    user = [str(probe.USER)] * 4
    assert status["Uid"].split() == status["Gid"].split() == user
    assert status["Groups"].split() == []
    rights = {name: int(value, 16) for name, value in status.items() if "Cap" in name}
    assert rights == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0
    )
    assert status["NoNewPrivs"] == "1"


_LEAVES = f"""
import ctypes, os, sys
sys.path.insert(0, {_FOLDER!r})
import probe
probe._library()
probe.become_harmless()
raise SystemExit(ctypes.CDLL(None).shmget(0, 4096, 0o1600) == -1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_no_memory_outlives_the_program(program, blank):
    program(_LEAVES)
    assert look.contents(blank) == []
    _, *segments = Path("/proc/sysvipc/shm").read_text().splitlines()
    assert str(probe.USER) not in {segment.split()[7] for segment in segments}


def _refuses(blank, spoil):
    """Spoil what the program finds, and see that it does not look then."""
    script = "import ctypes, os, sys; sys.path.insert(0, sys.argv[1]); import probe\n"
    script += f"{spoil}\nsys.exit(probe.main())"
    with open(blank, "rb") as disk:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script, _FOLDER],
            stdin=disk,
            capture_output=True,
            check=False,
        )
    return (done.returncode, done.stdout) == (probe.NOT_HARMLESS, b"")


def test_program_that_cannot_give_its_rights_up_does_not_look(blank):
    fail = "lambda *a: (_ for _ in ()).throw(OSError)"
    spoil = f"os.setresuid = os.setresgid = {fail}\nos.geteuid = lambda: 0"
    assert _refuses(blank, spoil)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_program_that_nobody_could_end_does_not_look(blank):
    without_cap_kill = "assert ctypes.CDLL(None).prctl(24, 5, 0, 0, 0) == 0"
    assert _refuses(blank, without_cap_kill)


# -- what a program does that was taken over


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("print('ext4 - 0\\n' * 10000)", "too much"),
        ("print('ext4 - 0\\n\\x1b[2J - 0')", "no meaning"),
        ("print('a b c d')", "no meaning"),
        ("print('x' * 40, '- 0')", "no meaning"),
        ("print('ext4 - -1')", "no meaning"),
        ("import os; os.write(1, b'\\xff\\n')", "no meaning"),
        ("import os; os.kill(os.getpid(), 11)", r"broke off \(-11\)"),
        ("raise SystemExit(77)", r"broke off \(77\)"),
        ("raise SystemExit(3)", "libblkid"),
        ("raise SystemExit(4)", "rights"),
        ("raise SystemExit(5)", "cannot be read"),
    ],
)
def test_what_has_no_form_counts_for_nothing(program, blank, text, cause):
    program(text)
    with pytest.raises(Unseen, match=cause) as told:
        look.contents(blank)
    assert str(told.value).isprintable()
    assert _children() == []


@pytest.mark.parametrize(
    "text",
    [
        "import time; time.sleep(60)",
        "import os, time; os.close(1); time.sleep(60)",
        "while True: pass",
        "import signal, time\nsignal.signal(15, signal.SIG_IGN); time.sleep(60)",
        "import time\nwhile True: print(end='', flush=True); time.sleep(.01)",
    ],
)
def test_program_that_does_not_end_is_ended(program, blank, text, monkeypatch):
    monkeypatch.setattr(look, "PATIENCE", 0.5)
    program(text)
    began = time.monotonic()
    with pytest.raises(Unseen, match="did not answer"):
        look.contents(blank)
    assert time.monotonic() - began < 5
    assert _children() == []


_SLEEPS = f"""
import sys, time
sys.path.insert(0, {_FOLDER!r})
import probe
probe._library()
probe.become_harmless()
time.sleep(60)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_program_is_ended_by_a_process_that_may_not_kill_others(
    program, blank, monkeypatch
):
    monkeypatch.setattr(look, "PATIENCE", 1)
    program(_SLEEPS)
    told = []

    def look_at():  # a thread has capabilities of its own
        left = [capabilities.CAP_SYS_ADMIN]
        capabilities.drop_all_caps_except(left, left, [])
        with pytest.raises(Unseen) as unseen:
            look.contents(blank)
        told.append((str(unseen.value), _children()))

    thread = threading.Thread(target=look_at)
    thread.start()
    thread.join()
    assert told == [("its disk did not answer in 1 s", [])]


def test_no_other_look_begins_as_long_as_one_has_not_come_back(
    program, blank, monkeypatch
):
    monkeypatch.setattr(look, "PATIENCE", 0.5)
    # What it leaves behind outlives the kill, as a read does that hangs in the kernel.
    program(
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            os.close(1)
            time.sleep(2)
        else:
            time.sleep(60)
        """
    )
    with pytest.raises(Unseen, match="did not answer"):
        look.contents(blank)
    program("")
    with pytest.raises(Unseen, match="has not come back"):
        look.contents(blank)
    time.sleep(2)
    assert look.contents(blank) == []


def test_looks_at_once_wait_for_each_other(blank):
    told = []
    threads = [
        threading.Thread(target=lambda: told.append(look.contents(blank)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [[], [], [], []]


def test_disk_that_cannot_be_opened_is_told(monkeypatch):
    def gone(path):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))

    monkeypatch.setattr(ours, "opened", gone)
    with pytest.raises(Unseen, match="/dev/vg/lv cannot be opened: No such device"):
        look.contents("/dev/vg/lv")


def test_python_that_cannot_be_run_is_told(monkeypatch, blank):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unseen, match="/nowhere/python"):
        look.contents(blank)


def test_rehearsal_finds_out_whether_looks_can_be_had(program):
    program("raise SystemExit(3)")
    with pytest.raises(Unseen, match="libblkid"):
        look.rehearse()


def test_rehearsal_goes_well_where_looks_can_be_had():
    look.rehearse()


def test_nothing_of_the_environment_reaches_the_program(program, blank, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD_LIKE", "x")
    program("import os; raise SystemExit(len(os.environ.keys() - {'PATH', 'LC_ALL'}))")
    assert look.contents(blank) == []


def test_no_locale_takes_the_memory_of_the_program(program, blank):
    program("raise SystemExit('locale' in open('/proc/self/maps').read())")
    assert look.contents(blank) == []


# -- hostile disks


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The first and last of real disks, by name."""
    folder = tmp_path_factory.mktemp("real")
    small = ("ext4", "swap", "crypto_LUKS", "vfat", "ocfs2", "gfs2 local")
    made = [disks.filled(folder / name.replace(" ", "-"), name) for name in small]
    made += [
        disks.physical_volume(folder / "lvm", lock="dlm"),
        disks.partitioned(folder / "gpt", "gpt", {1: made[0]}),
        disks.partitioned(folder / "dos", "dos", {1: made[1], 5: made[0]}),
    ]
    return made


def _harmless(disk):
    """Look; nobody but the program may suffer from what is there."""
    found = []
    with contextlib.suppress(Unseen):
        found = look.contents(str(disk))
    assert len(found) < 100
    assert all(kind.isascii() and kind.isprintable() for kind, *_ in found)


_fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@_fuzz
@given(data=st.data())
def test_mutated_superblocks_harm_nobody(real, tmp_path, data):
    source = data.draw(st.sampled_from(real))
    disk = tmp_path / "disk"
    subprocess.run(["cp", "--sparse=always", source, disk], check=True)
    for _ in range(data.draw(st.integers(1, 8))):
        near = st.one_of(st.integers(0, 9000), st.integers(65536, 66200))
        value = st.one_of(
            st.binary(min_size=1, max_size=16),
            st.sampled_from([b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8)]),
        )
        disks.put(disk, data.draw(near), data.draw(value))
    size = data.draw(st.sampled_from([None, 0, 1, 511, 4097, 70000, 1 << 40]))
    if size is not None:
        os.truncate(disk, size)
    _harmless(disk)


@_fuzz
@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from([0, 512, 1024, 4096, 65536]), st.binary(max_size=600)
        ),
        max_size=6,
    )
)
def test_any_bytes_harm_nobody(tmp_path, pieces):
    disk = disks.blank(tmp_path / "disk", 2)
    for place, content in pieces:
        disks.put(disk, place, content)
    _harmless(disk)


def test_partitions_that_lead_in_a_circle_end(tmp_path):
    disk = disks.partitioned(tmp_path / "disk", "dos", {})
    # The extended partition's first table points to itself.
    entry = bytes([0, 0, 0, 0, 5, 0, 0, 0]) + (0).to_bytes(4, "little")
    entry += (2048).to_bytes(4, "little")
    with disk.open("rb") as file:
        file.seek(0x1BE + 16 + 8)
        start = int.from_bytes(file.read(4), "little") * 512
    disks.put(disk, start + 0x1BE, entry * 4 + b"\x55\xaa")
    _harmless(disk)
