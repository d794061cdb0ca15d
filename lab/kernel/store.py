# SPDX-License-Identifier: Apache-2.0
"""The cache of kernels, outside the clone, which later clones use."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
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
def locked() -> Iterator[None]:
    """Let nobody else fetch, build or choose a kernel in the block.

    Raises:
        LabError: the cache cannot be written to.
    """
    try:
        cache().mkdir(parents=True, exist_ok=True)
        handle = (cache() / "lock").open("w")
    except OSError as error:
        raise LabError(
            f"the cache of the lab's kernels cannot be written to ({error}); name "
            "another folder by TAIKUN_LAB_CACHE"
        ) from None
    with handle as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
    folder = _folder(kind, version)
    return Image.load(folder) if folder.exists() else None


def newest(kind: str) -> Image | None:
    """Give the kernel of a kind that was kept last, None where there is none."""
    folders = sorted(cache().glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    return Image.load(folders[-1]) if folders else None


def _folder(kind: str, version: str) -> Path:
    return cache() / f"{kind}-{version}"
