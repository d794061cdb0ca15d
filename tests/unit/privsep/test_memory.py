# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel clears what it allocates is told by what it says of itself."""

import gzip
import os

import pytest

from taikun_cinder.privsep import memory

RELEASE = "6.1.0-47-amd64"
ON, OFF = (
    "CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y",
    "# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set",
)
SAID = "mem auto-init: stack:all(zero), heap alloc:{}, heap free:off"


@pytest.fixture
def root(tmp_path):
    """Give a machine that tells nothing about it."""
    for folder in ("proc/sys/kernel", "boot", "dev", f"lib/modules/{RELEASE}"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text(f"{RELEASE}\n")
    (tmp_path / "proc/cmdline").write_text("quiet\n")
    return tmp_path


def _log(root, monkeypatch, *messages):
    """Imitate /dev/kmsg: each read gives one message."""
    (root / "dev/kmsg").write_text("")
    left = [text if isinstance(text, OSError) else text.encode() for text in messages]

    def read(_file, _size):
        message = left.pop(0) if left else BlockingIOError(11, "nothing more")
        if isinstance(message, OSError):
            raise message
        return message

    monkeypatch.setattr(os, "read", read)


def test_kernel_that_tells_nothing_is_not_known(root):
    assert memory.is_cleared(root, root / "proc") is None


@pytest.mark.parametrize(
    "place",
    ["proc/config.gz", f"boot/config-{RELEASE}", f"lib/modules/{RELEASE}/config"],
)
@pytest.mark.parametrize(
    ("options", "cleared"),
    [((ON,), True), ((OFF,), False), ((ON, "CONFIG_SLUB_DEBUG_ON=y"), False)],
)
def test_configuration_of_the_running_kernel_tells(root, place, options, cleared):
    text = "\n".join(("CONFIG_SMP=y", *options, "")).encode()
    (root / place).write_bytes(gzip.compress(text) if place.endswith("gz") else text)
    assert memory.is_cleared(root, root / "proc") is cleared


def test_configuration_of_another_kernel_tells_nothing(root):
    (root / "boot/config-6.1.0-46-amd64").write_text(f"{ON}\n")
    assert memory.is_cleared(root, root / "proc") is None


@pytest.mark.parametrize(
    ("parameters", "cleared"),
    [
        ("init_on_alloc=1", True),
        ("init_on_alloc=on quiet", True),
        ("init_on_alloc=0", False),
        ("init_on_alloc=1 init_on_alloc=0", False),
        ("init_on_alloc=0 init_on_alloc=1", True),
        ("xinit_on_alloc=0", True),
        ("slub_debug=FZP", False),
        ("slub_debug", False),
        ("slab_debug=P,kmalloc-256", False),
        ("init_on_alloc=1 page_poison=1", False),
        ("slub_debug=- page_poison=0", True),
    ],
)
def test_parameter_goes_before_the_configuration(root, parameters, cleared):
    (root / f"boot/config-{RELEASE}").write_text(f"{ON}\n")
    (root / "proc/cmdline").write_text(f"BOOT_IMAGE=/vmlinuz {parameters}\n")
    assert memory.is_cleared(root, root / "proc") is cleared


@pytest.mark.parametrize(("said", "cleared"), [("on", True), ("off", False)])
def test_what_the_kernel_said_at_its_boot_goes_before_both(
    root, monkeypatch, said, cleared
):
    (root / "proc/cmdline").write_text(f"init_on_alloc={int(not cleared)}\n")
    lost = BrokenPipeError(32, "overwritten")
    _log(
        root,
        monkeypatch,
        lost,
        "5,1,0,-;Linux version",
        f"6,90,12,-;{SAID.format(said)}",
    )
    assert memory.is_cleared(root, root / "proc") is cleared


@pytest.mark.parametrize(
    "message",
    [
        f"14,90,12,-;{SAID.format('on')}",  # a program wrote it
        f"6,90,60000001,-;{SAID.format('on')}",  # not at the boot
    ],
)
def test_what_others_said_does_not_count(root, monkeypatch, message):
    _log(root, monkeypatch, message)
    assert memory.is_cleared(root, root / "proc") is None


def test_log_that_is_not_shown_does_no_harm(root, monkeypatch):
    _log(root, monkeypatch, PermissionError(1, "not permitted"))
    (root / "proc/cmdline").write_text("init_on_alloc=1\n")
    assert memory.is_cleared(root, root / "proc") is True
