# SPDX-License-Identifier: Apache-2.0
"""The fences of a node's volumes: a small file for each host of each volume.

They are no part of the records, since a fence must be set while an operation holds the
volume's lock and hangs: it would write the record that it has read before.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from taikun_cinder import durable
from taikun_cinder.access.fence import Fence
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import FencesUnreadable

LOG = logging.getLogger(__name__)

#: What changes for a host of a volume each time that a fence of it holds, by the name
#: of the host's files.
Marks = Mapping[str, bytes]

_FORM = 1

_SUFFIX, _MARK = ".json", ".mark"


class Fences:
    """The fences of the volumes of a node.

    Args:
        folder: where; it has a folder for each volume that has any.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name_id: str) -> tuple[Fence, ...]:
        """Give the fences of a volume. Without any, this is one look at the disk.

        Raises:
            FencesUnreadable: it cannot be told.
        """
        files = (path for path in self._files(name_id) if path.suffix == _SUFFIX)
        with self._reading(name_id):
            return tuple(fence for fence in map(_read, files) if fence is not None)

    def marks(self, name_id: str) -> Marks:
        """Give what changes for a host when it is fenced off a volume, see ``mark``.

        Raises:
            FencesUnreadable: it cannot be told.
        """
        files = (path for path in self._files(name_id) if path.suffix == _MARK)
        with self._reading(name_id):
            return {path.stem: content for path in files if (content := _content(path))}

    def _files(self, name_id: str) -> list[Path]:
        folder = f"{self._folder}/{name_id}"
        with self._reading(name_id):
            try:
                return [Path(folder, name) for name in sorted(os.listdir(folder))]
            except (FileNotFoundError, NotADirectoryError):  # nor was any written
                return []

    @contextlib.contextmanager
    def _reading(self, name_id: str) -> Iterator[None]:
        # To take it for none would let in who is kept out.
        try:
            yield
        except OSError as error:
            raise FencesUnreadable(
                volume=name_id,
                path=error.filename or self._folder / name_id,
                cause=error.strerror,
            ) from error

    def volumes(self) -> list[str]:
        """List the volumes that have any, or had, by their ``name_id``."""
        try:
            return sorted(os.listdir(self._folder))
        except OSError:
            return []

    def set(self, name_id: str, initiator: Initiator) -> bool:
        """Fence a host for all that it has now, and had when it was fenced before.

        Returns:
            as ``keep``.
        """
        before = None
        with contextlib.suppress(OSError):  # what it has now, it is fenced for anyway
            before = _read(self._path(name_id, initiator))
        return self.keep(name_id, (before or Fence(initiator)).renewed())

    def mark(self, name_id: str, initiator: Initiator) -> bool:
        """Take note that a host is cut off now, by a fence that holds.

        Whoever came before sees it, or has begun before the caller had the volume's
        lock. It lasts as long as the volume, since a fence may be over by then.

        Returns:
            as ``keep``.
        """
        path = self._folder / name_id / f"{_digest(initiator)}{_MARK}"
        return _written(initiator, path, secrets.token_hex(8).encode())

    def keep(self, name_id: str, fence: Fence) -> bool:
        """Write a fence; one of the same host is replaced.

        Returns:
            whether it could be written. Else see ``durable.replace``, and
            the cause is in the log.
        """
        path = self._path(name_id, fence.initiator)
        return _written(fence.initiator, path, json.dumps(_plain(fence)).encode())

    def forget(self, name_id: str, initiator: Initiator | None = None) -> None:
        """Delete the fence of a host, or all of a volume; a file that stays is told."""
        folder = self._folder / name_id
        try:
            if initiator is None:
                shutil.rmtree(folder)
                return
            # One that came back would end what its host has attached since.
            durable.remove(self._path(name_id, initiator))
            with contextlib.suppress(OSError):  # others, or marks, are there
                folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            LOG.warning(
                "A fence of volume %(volume)s is over or lifted, and its file in "
                "%(folder)s cannot be deleted: %(cause)s. It keeps nobody out who is "
                "attached anew.",
                {"volume": name_id, "folder": folder, "cause": error.strerror},
            )

    def _path(self, name_id: str, initiator: Initiator) -> Path:
        return self._folder / name_id / f"{_digest(initiator)}{_SUFFIX}"


def _digest(initiator: Initiator) -> str:
    # An initiator's name can be longer than a file's, and have a slash.
    return hashlib.sha256(initiator.name.encode()).hexdigest()[:32]


def fenced_since(
    before: Marks, now: Marks, initiators: Iterable[Initiator]
) -> frozenset[Initiator]:
    """Give those of a volume's hosts that were fenced between two looks."""
    return frozenset(
        one
        for one in initiators
        # That of a volume that was deleted is gone.
        if now.get(_digest(one)) not in (None, before.get(_digest(one)))
    )


def _written(initiator: Initiator, path: Path, content: bytes) -> bool:
    """Write a file; say whether it could be."""
    try:
        try:
            _write(path, content)
        except FileNotFoundError:  # the volume's last fence was forgotten just then
            _write(path, content)
    except OSError as error:
        LOG.error(
            "The fence of host %(initiator)s cannot be written to %(path)s: "
            "%(cause)s. %(cure)s",
            {
                "initiator": initiator,
                "path": path,
                "cause": error.strerror,
                "cure": durable.CURE,
            },
        )
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    durable.make(path.parent)
    durable.replace(path, content, by_several=True)


def _plain(fence: Fence) -> dict[str, Any]:
    return {
        "form": _FORM,
        "initiator": fence.initiator.name,
        "attachments": sorted(fence.attachments),
        "connections": sorted(fence.connections),
        "settled": fence.settled,
    }


def _content(path: Path) -> bytes:
    """Give what a file has; nothing if it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _read(path: Path) -> Fence | None:
    if not (content := _content(path)):
        return None
    try:
        plain = json.loads(content)
        if plain["form"] != _FORM:
            raise ValueError(plain["form"])
        return Fence(
            Initiator(plain["initiator"]),
            frozenset(map(str, plain["attachments"])),
            frozenset(map(str, plain["connections"])),
            settled=bool(plain["settled"]),
        )
    except Exception as error:
        LOG.error(
            "The fence %(path)s cannot be read (%(cause)s), so its host is not kept "
            "out by it. Set it again with taikun-cinder fence, or delete the file.",
            {"path": path, "cause": type(error).__name__},
        )
        return None
