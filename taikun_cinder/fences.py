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
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from taikun_cinder import durable
from taikun_cinder.access.fence import Fence
from taikun_cinder.access.model import Initiator

LOG = logging.getLogger(__name__)

_FORM = 1

_SUFFIX = ".json"


class Fences:
    """The fences of the volumes of a node.

    Args:
        folder: where; it has a folder for each volume that has any.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name_id: str) -> tuple[Fence, ...]:
        """Give the fences of a volume. Without any, this is one look at the disk."""
        folder = f"{self._folder}/{name_id}"
        try:
            names = sorted(os.listdir(folder))
        except OSError:  # if it cannot be read, neither can the records
            return ()
        files = (Path(folder, name) for name in names if name.endswith(_SUFFIX))
        return tuple(fence for fence in map(_read, files) if fence is not None)

    def volumes(self) -> list[str]:
        """List the volumes that have any, by their ``name_id``."""
        try:
            return sorted(os.listdir(self._folder))
        except OSError:
            return []

    def set(self, name_id: str, initiator: Initiator) -> bool:
        """Fence a host for all that it has now, and had when it was fenced before.

        Returns:
            as ``keep``.
        """
        before = (one for one in self.of(name_id) if one.initiator == initiator)
        kept = self.keep(name_id, next(before, Fence(initiator)).renewed())
        # After the fence: who reads the new mark reads the fence, too.
        return self._mark(initiator) and kept

    def mark(self, initiator: Initiator) -> bytes:
        """Give what is another one each time that a host is fenced off any volume.

        It stays when the fence is over. So who had to wait since before sees it.
        """
        try:
            return self._mark_of(initiator).read_bytes()
        except OSError:
            return b""

    def _mark(self, initiator: Initiator) -> bool:
        path = self._mark_of(initiator)
        try:
            durable.make(path.parent)
            durable.replace(path, secrets.token_hex(8).encode())
        except OSError as error:
            _log_unwritten(initiator, path, error)
            return False
        return True

    def _mark_of(self, initiator: Initiator) -> Path:
        return self._folder.with_name(f"{self._folder.name}-set") / _digest(initiator)

    def keep(self, name_id: str, fence: Fence) -> bool:
        """Write a fence; one of the same host is replaced.

        Returns:
            whether it could be written. Else see ``durable.replace``, and
            the cause is in the log.
        """
        path = self._path(name_id, fence.initiator)
        try:
            try:
                _write(path, fence)
            except FileNotFoundError:  # the volume's last fence was forgotten just then
                _write(path, fence)
        except OSError as error:
            _log_unwritten(fence.initiator, path, error)
            return False
        return True

    def forget(self, name_id: str, initiator: Initiator | None = None) -> None:
        """Delete the fence of a host, or all of a volume; a file that stays is told."""
        folder = self._folder / name_id
        try:
            if initiator is None:
                shutil.rmtree(folder)
                return
            # One that came back would end what its host has attached since.
            durable.remove(self._path(name_id, initiator))
            with contextlib.suppress(OSError):  # another host's may have come
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


def _log_unwritten(initiator: Initiator, path: Path, error: OSError) -> None:
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


def _write(path: Path, fence: Fence) -> None:
    durable.make(path.parent)
    durable.replace(path, json.dumps(_plain(fence)).encode())


def _plain(fence: Fence) -> dict[str, Any]:
    return {
        "form": _FORM,
        "initiator": fence.initiator.name,
        "attachments": sorted(fence.attachments),
        "connections": sorted(fence.connections),
        "settled": fence.settled,
    }


def _read(path: Path) -> Fence | None:
    try:
        plain = json.loads(path.read_bytes())
        if plain["form"] != _FORM:
            raise ValueError(plain["form"])
        return Fence(
            Initiator(plain["initiator"]),
            frozenset(map(str, plain["attachments"])),
            frozenset(map(str, plain["connections"])),
            settled=bool(plain["settled"]),
        )
    except FileNotFoundError:
        return None
    except Exception as error:
        LOG.error(
            "The fence %(path)s cannot be read (%(cause)s), so its host is not kept "
            "out by it. Set it again with taikun-cinder fence, or delete the file.",
            {"path": path, "cause": type(error).__name__},
        )
        return None
