# SPDX-License-Identifier: Apache-2.0
"""Debian's ready kernel of a newer release, fetched into the cache."""

import shutil
from pathlib import Path

from lab.errors import LabError
from lab.kernel import debian, elf, store, trial
from lab.kernel.image import Image

#: The suites to look in, in this order. Their versions float: a mirror has the newest
#: only, so that one that was pinned could not be fetched a month later. What was
#: fetched stays, so a machine's tests run on one kernel until its cache is emptied.
SUITES = ("forky", "sid")

#: The first kernel that runs its processes by seccomp.
SECCOMP = (6, 16)


def fetch() -> Image:
    """Fetch the package user-mode-linux of the first suite whose kernel is new enough.

    Raises:
        LabError: no suite has one, it cannot be fetched, or it does not boot here; one
            line tells why.
    """
    newest = ".".join(map(str, SECCOMP))
    failed = LabError(f"no suite of {SUITES} has user-mode-linux {newest} or newer")
    for suite in SUITES:
        try:
            with debian.suites([suite]) as apt, store.draft() as folder:
                for package in apt.find("user-mode-linux"):
                    if package.numbers >= SECCOMP:
                        apt.unpack(package, folder)
                        return _keep(folder, package)
        except LabError as error:
            failed = LabError(f"{suite}: {error}")
    raise failed


def _keep(folder: Path, package: debian.Package) -> Image:
    """Make an image of an unpacked package, and keep it if it boots here."""
    shutil.move(folder / "usr/bin/linux.uml", folder)
    shutil.move(folder / "usr/lib/uml/modules", folder)
    shutil.rmtree(folder / "usr")
    elf.forgive_newer_libc(folder / "linux.uml")
    image = Image(
        kind="ready",
        binary=folder / "linux.uml",
        modules=folder / "modules",
        origin=f"Debian's user-mode-linux {package.version} of {package.suite}",
        arguments=("seccomp=on",),
    )
    trial.boot(image)
    return store.keep(image, package.version)
