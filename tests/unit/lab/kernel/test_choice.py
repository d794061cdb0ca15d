# SPDX-License-Identifier: Apache-2.0
"""The choice of the kernel that the lab boots, and why it is not the ready one.

The kernels are shell scripts; tests/lab/test_kernels.py boots real ones.
"""

import os
import shutil
import time
from concurrent import futures
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.kernel import choice, debian, image, ready, store
from lab.kernel.image import Image

BOOTS = "#!/bin/sh\necho 'lab-trial: {}'\necho 'lab-trial: done'\n"


def _kernel(folder: Path, kind: str, script: str) -> Image:
    folder.mkdir()
    made = Image(kind, folder / "linux.uml", folder / "modules", f"a test's {kind}")
    made.binary.write_text(script)
    made.binary.chmod(0o755)
    return made


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an empty cache and a kernel of its own, and no mirror."""
    old = _kernel(tmp_path / "installed", "debian", BOOTS.format("6.1.0"))
    monkeypatch.setenv("TAIKUN_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAIKUN_LAB_KERNEL", raising=False)
    monkeypatch.setattr(choice, "installed", lambda: old)
    empty = tmp_path / "apt.conf"
    empty.write_text(
        'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(empty))
    choice.chosen.cache_clear()


@pytest.fixture
def keep():
    """Return a function that puts a kernel into the cache."""

    def put(kind: str, version: str, script: str = "") -> Image:
        with store.draft() as folder:
            folder.rmdir()
            made = _kernel(folder, kind, script or BOOTS.format(version))
            return store.keep(made, version)

    return put


def _prepare() -> tuple[Image, str]:
    said: list[str] = []
    chosen = choice.prepare(said.append)
    assert len(said) == 1
    assert "\n" not in said[0]
    return chosen, said[0]


def test_ready_kernel_is_booted_and_named(keep):
    ready_one = keep("ready", "7.2")
    chosen, said = _prepare()
    assert chosen == choice.chosen() == ready_one
    assert said.startswith("the lab's kernel: Linux 7.2 (a test's ready)")


def test_machine_without_a_mirror_boots_its_own_kernel_and_says_why():
    chosen, said = _prepare()
    assert chosen == choice.chosen()
    assert chosen.kind == "debian"
    assert "Linux 6.1.0" in said
    assert "by ptrace, half as fast" in said
    assert "has no mirror of Debian" in said


def test_mirror_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(debian, "_mirrors", lambda: [f"file://{tmp_path}/debian"])
    chosen, said = _prepare()
    assert chosen.kind == "debian"
    assert "sid: apt-get: E: " in said


def _repository(root):
    """Make a mirror with the package, which nobody has signed."""
    for suite in ready.SUITES:
        folder = root / "dists" / suite
        packages = folder / "main" / "binary-amd64" / "Packages"
        packages.parent.mkdir(parents=True)
        packages.write_text("Package: user-mode-linux\nVersion: 99.0\n")
        (folder / "Release").write_text(f"Codename: {suite}\nComponents: main\n")


def test_mirror_that_debian_did_not_sign_is_refused(tmp_path, monkeypatch):
    _repository(tmp_path / "debian")
    monkeypatch.setattr(debian, "_mirrors", lambda: [f"file://{tmp_path}/debian"])
    chosen, said = _prepare()
    assert chosen.kind == "debian"
    assert "is not signed" in said


def test_next_mirror_is_asked_where_one_lacks_the_suites(tmp_path, monkeypatch):
    _repository(tmp_path / "whole")
    mirrors = [f"file://{tmp_path}/{name}" for name in ("none", "whole")]
    monkeypatch.setattr(debian, "_mirrors", lambda: mirrors)
    monkeypatch.setattr(debian, "_KEYS", "/dev/null")
    asked = []
    real = debian.Apt._apt

    def apt(self, *arguments):
        asked.append((self._folder / "sources.list").read_text())
        return real(self, *arguments)

    monkeypatch.setattr(debian.Apt, "_apt", apt)
    assert _prepare()[0].kind == "debian"  # nobody signed it
    assert [mirror for text in asked for mirror in mirrors if mirror in text] == [
        *mirrors,
        *mirrors,
    ]


def test_machines_own_configuration_of_apt_does_not_get_in_the_way(
    tmp_path, monkeypatch
):
    touched = tmp_path / "touched"
    with (tmp_path / "apt.conf").open("a") as conf:
        conf.write('APT::Default-Release "bookworm";\n')
        conf.write(f'APT::Update::Pre-Invoke {{ "touch {touched}"; }};\n')
    monkeypatch.setattr(debian, "_mirrors", lambda: [f"file://{tmp_path}/none"])
    _chosen, said = _prepare()
    assert "Default-Release" not in said
    assert not touched.exists()


def test_fetch_that_finds_no_room_is_told(monkeypatch):
    def fetch():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ready, "fetch", fetch)
    chosen, said = _prepare()
    assert chosen.kind == "debian"
    assert "No space left" in said


def test_kernel_that_somebody_removed_half_of_is_not_taken(keep):
    keep("ready", "7.2").binary.unlink()
    chosen, said = _prepare()
    assert chosen.kind == "debian"
    assert "linux.uml" in said


def test_cache_that_cannot_be_written_to_is_told_with_the_way_out(
    tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TAIKUN_LAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LabError, match="another folder by TAIKUN_LAB_CACHE"):
        _prepare()


def test_what_could_not_be_fetched_is_not_tried_again_for_a_day(monkeypatch):
    tries = []

    def fetch():
        tries.append(1)
        raise LabError("the mirror is away")

    monkeypatch.setattr(ready, "fetch", fetch)
    for _ in range(2):
        assert "the mirror is away" in _prepare()[1]
    assert len(tries) == 1
    failure = store.cache() / "not-fetched"
    yesterday = time.time() - 25 * 3600
    os.utime(failure, (yesterday, yesterday))
    _prepare()
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("#!/bin/sh\necho 'seccomp filters... failed'\nexit 1\n", "filters... failed"),
        ("#!/bin/sh\nexit 1\n", "it said nothing"),
        ("#!/bin/sh\necho 'lab-trial: 7.2'\necho 'a panic'\n", "a panic"),
    ],
)
def test_ready_kernel_that_does_not_boot_here_is_not_taken(keep, script, why):
    keep("ready", "7.2", script)
    chosen, said = _prepare()
    assert chosen == choice.chosen()
    assert chosen.kind == "debian"
    assert why in said


def test_ready_kernel_is_taken_again_when_it_boots_again(keep):
    keep("ready", "7.2", "#!/bin/sh\nexit 1\n")
    assert _prepare()[0].kind == "debian"
    ready_one = keep("ready", "7.2")
    assert _prepare()[0] == choice.chosen() == ready_one


def test_kernel_that_hangs_is_ended(keep, monkeypatch):
    monkeypatch.setattr("lab.kernel.trial._PATIENCE", 0.5)
    keep("ready", "7.2", "#!/bin/sh\necho booting\nsleep 600\n")
    assert "it was not through in 0.5 s" in _prepare()[1]


def test_variable_names_the_kernel(keep, monkeypatch):
    keep("ready", "7.2")
    own = keep("own", "7.3")
    for name, expected in (("own", own), (str(own.binary.parent), own)):
        monkeypatch.setenv("TAIKUN_LAB_KERNEL", name)
        assert choice.chosen.__wrapped__() == expected
        chosen, said = _prepare()
        assert chosen == expected
        assert "TAIKUN_LAB_KERNEL names it" in said
    monkeypatch.setenv("TAIKUN_LAB_KERNEL", "debian")
    assert _prepare()[0].kind == "debian"


def test_kernel_that_is_named_and_not_there_is_an_error(monkeypatch):
    for name, cure in (("own", "lab.kernel build"), ("/none", "no kernel for the lab")):
        monkeypatch.setenv("TAIKUN_LAB_KERNEL", name)
        with pytest.raises(LabError, match=cure):
            _prepare()


def test_kernel_that_is_named_and_does_not_boot_is_an_error(keep, monkeypatch):
    keep("own", "7.3", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("TAIKUN_LAB_KERNEL", "own")
    with pytest.raises(LabError, match="does not boot here"):
        _prepare()


def test_ready_kernel_that_is_named_is_fetched(keep, monkeypatch):
    monkeypatch.setenv("TAIKUN_LAB_KERNEL", "ready")
    monkeypatch.setattr(ready, "fetch", lambda: keep("ready", "7.2"))
    assert _prepare()[0].kind == "ready"


@pytest.mark.parametrize("note", ["", "{}", "[]", None])
def test_damaged_kernel_is_fetched_again(keep, monkeypatch, note):
    folder = keep("ready", "7.2").binary.parent
    (folder / "image.json").unlink()
    if note is not None:
        (folder / "image.json").write_text(note)
    monkeypatch.setattr(ready, "fetch", lambda: keep("ready", "7.2"))
    assert _prepare()[0].kind == "ready"


def test_kernel_that_was_removed_since_is_not_booted(keep):
    chosen, _said = _prepare()
    made = keep("ready", "7.2")
    assert _prepare()[0] == made
    shutil.rmtree(made.binary.parent)
    choice.chosen.cache_clear()
    assert choice.chosen() == chosen


def test_second_command_says_that_it_waits_for_the_first():
    said: list[str] = []
    with (
        futures.ThreadPoolExecutor() as pool,
        store.locked("choice", said.append),
    ):
        second = pool.submit(choice.prepare, said.append)
        while not said:
            time.sleep(0.01)
        assert not second.done()
    assert said[0].startswith("waiting for another command")
    assert second.result().kind == "debian"


def test_what_a_power_cut_left_is_removed_a_day_later():
    store.cache().mkdir()
    for name, age in (("draft-old", 25), ("draft-new", 1)):
        (store.cache() / name).mkdir()
        at = time.time() - age * 3600
        os.utime(store.cache() / name, (at, at))
    _prepare()
    assert [path.name for path in store.cache().glob("draft-*")] == ["draft-new"]


def test_newest_of_a_kind_is_the_one_that_was_kept_last(keep):
    first, second = keep("own", "7.10"), keep("own", "7.9")
    os.utime(first.binary.parent, (1, 1))
    assert store.newest("own") == second


def test_kernel_that_could_not_be_finished_leaves_nothing():
    def fetch():
        with store.draft() as folder:
            (folder / "linux.uml").write_text("half of it")
            raise LabError("the disk is full")

    with pytest.raises(LabError):
        fetch()
    assert list(store.cache().glob("*")) == []
    assert store.newest("own") is None


def test_machine_without_any_kernel_says_what_installs_one(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_named: None)
    with pytest.raises(LabError, match="tools/with-packages"):
        image.installed()
