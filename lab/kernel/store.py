# SPDX-License-Identifier: Apache-2.0
"""The cache of kernels, outside the clone, which later clones use."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import LabError
from lab.kernel.image import Image


def cache() -> Path:
    """Give the cache's folder: ``$TAIKUN_LAB_CACHE``, or one in the user's cache."""
    if ours := os.environ.get("TAIKUN_LAB_CACHE"):
        return Path(ours).resolve()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).resolve() / "taikun_cinder"


@contextlib.contextmanager
def locked(what: str, say: Callable[[str], object]) -> Iterator[None]:
    """Keep other commands from fetching, choosing or building a kernel in the block.

    Args:
        what: ``choice``, ``build`` or ``server``.
        say: told if another command does, so that this one has to wait.

    Raises:
        LabError: the cache cannot be written to.
    """
    try:
        cache().mkdir(parents=True, exist_ok=True)
        handle = (cache() / f"{what}.lock").open("w")
    except OSError as error:
        raise LabError(
            f"the cache of the lab's kernels cannot be written to ({error}); name "
            "another folder by TAIKUN_LAB_CACHE"
        ) from None
    with handle as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another command that is at the lab's kernels ({what})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _sweep()
        yield


def _sweep() -> None:
    """Remove the drafts that were left behind a day ago, by a power cut for example."""
    for folder in cache().glob("draft-*"):
        if folder.stat().st_mtime < time.time() - 24 * 3600:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def draft() -> Iterator[Path]:
    """Give a folder for a kernel to be; what :func:`keep` did not take ends with it."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="draft-") as folder:
        image = Path(folder) / "image"
        image.mkdir(mode=0o755)
        yield image


def keep(image: Image, version: str) -> Image:
    """Move a kernel's folder into the cache, whole or not at all.

    Args:
        image: the kernel, in a folder that has nothing else.
        version: tells it from others of its kind.
    """
    image.save()
    folder = _folder(image.kind, version)
    shutil.rmtree(folder, ignore_errors=True)
    image.binary.parent.rename(folder)
    return Image.load(folder)


def kept(kind: str, version: str) -> Image | None:
    """Give a kernel that was kept, None where it was not."""
    with contextlib.suppress(LabError):
        return Image.load(_folder(kind, version))
    return None


def newest(kind: str) -> Image | None:
    """Give the kernel of a kind that was kept last, None where there is none.

    A damaged one does not count: the next one that is kept may take its place.
    """
    folders = sorted(cache().glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for folder in reversed(folders):
        with contextlib.suppress(LabError):
            return Image.load(folder)
    return None


def _folder(kind: str, version: str) -> Path:
    return cache() / f"{kind}-{version}"
