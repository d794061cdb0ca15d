# SPDX-License-Identifier: Apache-2.0
"""The disk that servers boot from: Debian's kernel for clouds, and a shell.

It is small, since a server's processor and disk are emulated by a kernel that runs as a
process itself: a FAT disk of 24 MiB with a boot loader, a kernel and what it starts.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.kernel import debian, store

_HERE = Path(__file__).parent
_SUITE = "bookworm"
_PACKAGE = r"linux-image-[\d.]+-\d+-cloud-amd64"
_BUSYBOX = Path("/bin/busybox")

#: A server's drivers, in the order of their needs. The rest is built in.
MODULES = (
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
)

_LOADER = """\
DEFAULT server
PROMPT 0
TIMEOUT 1
LABEL server
 KERNEL vmlinuz
 INITRD initrd
 APPEND console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check {}
"""
#: The emulated clock is not worth a measurement, nor are random numbers a wait.
_QUICK = "lpj=4000000 random.trust_cpu=on raid=noautodetect"


def kernel(say: Callable[[str], object]) -> Path:
    """Give a folder with ``vmlinuz`` and the modules, fetched into the lab's cache.

    Raises:
        LabError: the package cannot be had.
    """
    kept = store.cache() / f"server-{_SUITE}"
    with store.locked("server", say):
        if kept.exists():
            return kept
        say("fetching Debian's kernel for clouds, which servers run")
        with debian.suites([_SUITE]) as apt, store.draft() as folder:
            found = apt.find(_PACKAGE)
            if not found:
                raise LabError(f"{_SUITE} has no package {_PACKAGE}")
            apt.unpack(found[0], folder)
            _keep(folder)
            folder.rename(kept)
    return kept


def _keep(folder: Path) -> None:
    """Leave of an unpacked package what a server needs, and nothing else."""
    (binary,) = (folder / "boot").glob("vmlinuz-*")
    binary.rename(folder / "vmlinuz")
    for name in MODULES:
        # Some are built into some of the kernels.
        for found in (folder / "lib/modules").rglob(f"{name}.ko"):
            found.rename(folder / found.name)
    for name in ("boot", "lib", "usr"):
        shutil.rmtree(folder / name, ignore_errors=True)


def build(folder: Path, say: Callable[[str], object]) -> Path:
    """Make the disk in a folder, which has nothing else; give its file.

    Raises:
        LabError: a tool failed, or the kernel cannot be had.
    """
    parts = kernel(say)
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    (root / "modules").mkdir()
    shutil.copy(_BUSYBOX, root / "bin/busybox")
    shutil.copy(_HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    program = str(root / "bin/disk")
    _run("cc", "-static", "-O2", "-Wall", "-o", program, str(_HERE / "disk.c"))
    there = [f"{name}.ko" for name in MODULES if (parts / f"{name}.ko").exists()]
    for name in there:
        shutil.copy(parts / name, root / "modules" / name)
    (root / "modules/order").write_text("\n".join(there) + "\n")
    initrd = folder / "initrd"
    pack = "find . | busybox cpio -o -H newc | gzip -1"
    _run("bash", "-o", "pipefail", "-c", f"{pack} > ../initrd", folder=root)
    loader = folder / "syslinux.cfg"
    loader.write_text(_LOADER.format(_QUICK))
    return _disk(folder / "server.img", parts / "vmlinuz", initrd, loader)


def _disk(image: Path, *files: Path) -> Path:
    with image.open("wb") as disk:
        disk.truncate(24 * 2**20)
    _run("mkfs.vfat", str(image))
    _run("mcopy", "-i", str(image), *map(str, files), "::")
    _run("syslinux", "--install", str(image))
    return image


def _run(*argv: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise LabError(
            f"{argv[0]} is missing; tools/with-packages --profile nova installs it"
        ) from None
    except subprocess.CalledProcessError as failed:
        raise LabError(f"{argv[0]} failed: {failed.stderr.strip()[-500:]}") from None
