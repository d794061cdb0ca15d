# SPDX-License-Identifier: Apache-2.0
"""The choice of the kernel that the lab's nodes boot.

There are three kinds:

- ``debian`` is the package user-mode-linux of the machine's own Debian release;
- ``ready`` is the same package of a newer release, whose kernel runs its processes by
  seccomp (from Linux 6.16 on) instead of ptrace, in half the time;
- ``own`` is built by ``tox -e kernel``, with what the ready one lacks.
"""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.kernel import ready, store, trial
from lab.kernel.image import NOTE, Image, installed

#: Names a kernel: one of the kinds, or an image's folder.
VARIABLE = "TAIKUN_LAB_KERNEL"
KINDS = ("ready", "own", "debian")

#: A fetch that failed is tried again after so many seconds.
_PATIENCE = 24 * 3600


@functools.cache
def chosen() -> Image:
    """Give the kernel that the lab's nodes boot.

    It is what ``$TAIKUN_LAB_KERNEL`` names; without it, what :func:`prepare` found to
    boot here, or the machine's own.

    Raises:
        LabError: what the variable names is not there.
    """
    return named(found())


def named(name: str) -> Image:
    """Give the kernel of a kind, or of a folder.

    Raises:
        LabError: it is not there.
    """
    if name == "debian":
        return installed()
    if name not in KINDS:
        return Image.load(Path(name).resolve())
    if (image := store.newest(name)) is None:
        verb = "build" if name == "own" else "prepare"
        raise LabError(
            f"{VARIABLE}={name}, but the cache {store.cache()} has no such kernel; "
            f"python -m lab.kernel {verb} makes one"
        )
    return image


def prepare(say: Callable[[str], object]) -> Image:
    """Find the kernel that the lab's nodes are to boot, and see that it boots.

    The ready one is fetched where there is none. Where it cannot be had, or does not
    boot here, the machine's own is taken.

    Args:
        say: told, in one line, which it is, and why if it is not the ready one.

    Raises:
        LabError: the one that ``$TAIKUN_LAB_KERNEL`` names does not boot, or none does.
    """
    with store.locked("choice", say):
        if os.environ.get(VARIABLE) == "ready" and store.newest("ready") is None:
            _fetch()
        if name := os.environ.get(VARIABLE):
            image = named(name)
            return _say(say, image, trial.boot(image), f"; {VARIABLE} names it")
        why = ""
        try:
            image = store.newest("ready") or _fetch()
            release = trial.boot(image)
        except (LabError, OSError) as error:
            image, why = installed(), f", half as fast as the ready one: {error}"
            release = trial.boot(image)
        _choose(image)
        return _say(say, image, release, why)


def _say(say: Callable[[str], object], image: Image, release: str, why: str) -> Image:
    how = "by seccomp" if "seccomp=on" in image.arguments else "by ptrace"
    say(f"the lab's kernel: Linux {release} ({image.origin}), {how}{why}")
    return image


def _fetch() -> Image:
    """Fetch the ready kernel, unless that failed not long ago."""
    failure = store.cache() / "not-fetched"
    try:
        if time.time() - failure.stat().st_mtime < _PATIENCE:
            raise LabError(f"{failure.read_text().strip()} (remove {failure} to retry)")
    except FileNotFoundError:
        pass
    try:
        image = ready.fetch()
    except (LabError, OSError) as error:
        failure.write_text(f"{error}\n")
        raise
    failure.unlink(missing_ok=True)
    return image


def _choice() -> Path:
    return store.cache() / "choice"


def _choose(image: Image) -> None:
    new = _choice().with_suffix(".new")
    new.write_text("debian" if image.kind == "debian" else str(image.binary.parent))
    new.replace(_choice())
    chosen.cache_clear()


def found() -> str:
    """Give what ``$TAIKUN_LAB_KERNEL`` says, or else what :func:`prepare` found."""
    if name := os.environ.get(VARIABLE):
        return name
    try:
        folder = _choice().read_text().strip()
    except OSError:
        return "debian"
    return folder if Path(folder, NOTE).exists() else "debian"
