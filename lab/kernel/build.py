# SPDX-License-Identifier: Apache-2.0
"""Builds a kernel of the lab's own from Debian's source, into the cache."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import LabError, LogError
from lab.kernel import debian, store, trial
from lab.kernel.image import Image
from lab.kernel.ready import SECCOMP

#: The suites to look in for the newest source.
SUITES = ("trixie-backports", "forky", "sid")

#: The packages of bindep.txt's profile ``kernel``.
_TOOLS = ("make", "gcc", "flex", "bison", "bc", "xz")

_OPTIONS = Path(__file__).with_name("options")
_LINE = re.compile(r"^CONFIG_\w+=.+$", re.MULTILINE)


def build(say: Callable[[str], object]) -> Image:
    """Build the newest kernel that the suites have the source of, unless it is there.

    It takes about 13 minutes of a processor, and 2 GB below the temporary folder.

    Args:
        say: told of each step.

    Raises:
        LabError: it cannot be had or built, or does not boot.
    """
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        raise LabError(
            f"{', '.join(missing)} missing; tools/with-packages --profile kernel "
            "tox -e kernel installs what it needs"
        )
    with store.locked("build", say), debian.suites(SUITES) as apt:
        source = next(iter(apt.find(r"linux-source-\d+\.\d+")), None)
        if source is None or source.numbers < SECCOMP:
            raise LabError(f"{', '.join(SUITES)} have no source that is new enough")
        digest = hashlib.sha256(_OPTIONS.read_bytes()).hexdigest()[:12]
        version = f"{source.version}-{digest}"
        if (image := store.kept("own", version)) is None:
            with _unpacked(apt, source, say) as tree:
                image = _make(tree, version, f"{source.name} {source.version}", say)
        say(f"the lab's own kernel: Linux {trial.boot(image)} in {image.binary.parent}")
        say("TAIKUN_LAB_KERNEL=own lets the lab boot it")
        return image


@contextlib.contextmanager
def _unpacked(
    apt: debian.Apt, package: debian.Package, say: Callable[[str], object]
) -> Iterator[Path]:
    """Give the source's folder, which ends with the block."""
    say(f"fetching {package.name} {package.version} of {package.suite}")
    with tempfile.TemporaryDirectory(prefix="taikun-kernel-") as name:
        folder = Path(name)
        apt.unpack(package, folder)
        (archive,) = folder.glob("usr/src/*.tar.*")
        subprocess.run(
            ["tar", "--extract", "--file", archive, "--directory", folder], check=True
        )
        archive.unlink()
        (tree,) = folder.glob("linux-source-*")
        yield tree


def _make(tree: Path, version: str, origin: str, say: Callable[[str], object]) -> Image:
    log = store.cache() / "build.log"
    log.unlink(missing_ok=True)
    output = tree.parent / "build"
    output.mkdir()

    def make(*arguments: str) -> None:
        with log.open("a") as said:
            command = ["make", "-C", str(tree), f"O={output}", "ARCH=um", *arguments]
            environment = {**os.environ, "KBUILD_BUILD_TIMESTAMP": "@0"}
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                check=False,
            )
        if done.returncode:
            raise LogError("the kernel could not be built", log)

    begin = time.monotonic()
    make("allnoconfig", f"KCONFIG_ALLCONFIG={_OPTIONS}")
    _check(output / ".config")
    say(f"building it; its words go to {log}")
    make(f"-j{os.cpu_count()}", "linux", "modules")
    say(f"built after {time.monotonic() - begin:.0f} s")
    with store.draft() as folder:
        # modprobe finds the list of the built-in modules there.
        make("modules_install", f"INSTALL_MOD_PATH={folder}")
        shutil.move(folder / "lib/modules", folder)
        (folder / "lib").rmdir()
        for link in folder.glob("modules/*/build"):
            link.unlink()  # leads to the sources, which are not kept
        binary = folder / "linux.uml"
        command = ["strip", "-o", str(binary), str(output / "linux")]
        subprocess.run(command, check=True)
        image = Image("own", binary, folder / "modules", origin, ("seccomp=on",))
        trial.boot(image)
        return store.keep(image, version)


def _check(made: Path) -> None:
    """See that the configuration has every option that was asked for.

    Raises:
        LabError: some are not known to this kernel, or need others.
    """
    there = set(made.read_text().splitlines())
    wanted = _LINE.findall(_OPTIONS.read_text())
    if lacking := [line for line in wanted if line not in there]:
        raise LabError(f"this kernel does not take {', '.join(lacking)}: {_OPTIONS}")
