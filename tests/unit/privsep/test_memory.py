# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel clears what it allocates is told by what it says of itself."""

import gzip

import pytest

from taikun_cinder.privsep import memory

RELEASE = "6.1.0-47-amd64"
ON, OFF = (
    "CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y",
    "# CONFIG_INIT_ON_ALLOC_DEFAULT_ON is not set",
)


@pytest.fixture
def root(tmp_path):
    """Give a machine that tells nothing about it."""
    for folder in ("proc/sys/kernel", "boot", f"lib/modules/{RELEASE}"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text(f"{RELEASE}\n")
    (tmp_path / "proc/cmdline").write_text("quiet\n")
    return tmp_path


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
        ("init_on_alloc=on", True),
        ("init_on_alloc=yes", True),
        ("init-on-alloc=0", False),
        ("init_on_alloc=off", False),
        ("init_on_alloc=false", False),
        ("init_on_alloc=1 init_on_alloc=0", False),
        ("init_on_alloc=0 init_on_alloc=1", True),
        ('init_on_alloc="0"', False),
        ('"init_on_alloc=0"', False),
        ('dyndbg="file a +p" init_on_alloc=0', False),
        # What the kernel ignores leaves it as it was configured.
        ("init_on_alloc=2", True),
        ("init_on_alloc", True),
        ("xinit_on_alloc=0", True),
        ("-- init_on_alloc=0", True),
        # Freed memory is filled with a pattern, and not cleared.
        ("slub_debug=FZP", False),
        ("slub-debug", False),
        ("slab_debug=P,kmalloc-256", False),
        ("init_on_alloc=1 page_poison=1", False),
        ("slub_debug=- page_poison=0", True),
        ("page_poison=1 slub_debug=-", False),
        ("slub_debug=P page_poison=0", False),
        ("page_poison=1 page_poison=0", True),
    ],
)
def test_parameter_goes_before_the_configuration(root, parameters, cleared):
    (root / f"boot/config-{RELEASE}").write_text(f"{ON}\n")
    (root / "proc/cmdline").write_text(f"BOOT_IMAGE=/vmlinuz {parameters}\n")
    assert memory.is_cleared(root, root / "proc") is cleared


@pytest.mark.parametrize(
    ("parameters", "cleared"),
    [("quiet", False), ("slub_debug=-", True), ("init_on_alloc=1", False)],
)
def test_kernel_for_debugging_does_not_clear_unless_told(root, parameters, cleared):
    text = f"{ON}\nCONFIG_SLUB_DEBUG_ON=y\n"
    (root / f"boot/config-{RELEASE}").write_text(text)
    (root / "proc/cmdline").write_text(f"{parameters}\n")
    assert memory.is_cleared(root, root / "proc") is cleared


@pytest.mark.parametrize(
    ("release", "configuration", "cleared"),
    [
        ("5.3.0", "", True),
        ("6.1.0-47-amd64", "", True),
        ("4.19.0-27-amd64", "", None),
        ("4.19.0-27-amd64", "CONFIG_SMP=y\n", False),
        ("4.18.0-553.el8", f"{OFF}\n", True),  # it was ported back
        ("6.1.0-47-amd64", "CONFIG_SMP=y\n", False),
    ],
)
def test_parameter_counts_only_where_the_kernel_knows_it(
    root, release, configuration, cleared
):
    (root / "proc/sys/kernel/osrelease").write_text(f"{release}\n")
    (root / "proc/cmdline").write_text("init_on_alloc=1\n")
    if configuration:
        (root / f"boot/config-{release}").write_text(configuration)
    assert memory.is_cleared(root, root / "proc") is cleared


@pytest.mark.parametrize("damage", ["empty", "no gzip", "cut off"])
def test_damaged_configuration_tells_nothing(root, damage):
    packed = {"empty": b"", "no gzip": b"CONFIG", "cut off": gzip.compress(b"C")[:-9]}
    (root / "proc/config.gz").write_bytes(packed[damage])
    assert memory.is_cleared(root, root / "proc") is None


def test_answer_is_another_one_once_the_configuration_can_be_seen(root):
    assert memory.is_cleared(root, root / "proc") is None
    (root / f"boot/config-{RELEASE}").write_text(f"{ON}\n")
    assert memory.is_cleared(root, root / "proc") is True
