# SPDX-License-Identifier: Apache-2.0
"""The driver's own knowledge about volumes: a small file for each.

It has the export as it was left last, so that hosts get their disks back after a reboot
though the database is not there yet, and the answers that Cinder's rows do not show yet
(``access.ledger.Ledger``), so that neither a restart nor a second process forgets one.

A file is read and written under the lock of its volume. It is written after the kernel
was changed and before Cinder is answered. So a file that is older than the kernel only
leaves out what nobody was told.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from taikun_cinder import durable, state_folder, state_volume
from taikun_cinder.exception import RecordNotWritten, RecordUnreadable
from taikun_cinder.fences import Fences
from taikun_cinder.volume_record import Record, UnknownFormError, of_plain, plain

LOG = logging.getLogger(__name__)

_SUFFIX = ".json"

#: What reading a file that is no record ends with.
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class Records:
    """The records of the volumes of a node.

    Args:
        folder: where. It is made at the first write, and is its owner's alone, since
            the records have the passwords of hosts. It has to outlive a reboot, and no
            other node may share it, unless it moves between them on a state volume.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Whom operators have cut off, which outlives what a record says.
        self.fences = Fences(folder / "fences")
        #: What could not be written yet, by the name of its file, and what was there.
        self._unwritten: dict[str, tuple[Record, object]] = {}

    def of(self, volume: Any) -> Record | None:
        """Give the record of a volume's export; None if there is none to go by.

        Args:
            volume: Cinder's.
        """
        key, older = volume["name_id"], volume["id"]
        found = self.load(key)
        if found is None and older != key:
            # As versions before 0.2 named the files.
            found = self.load(older)
            if found is not None and found.export is None:
                found = None
        if found is not None and not found.speaks_of(volume):
            LOG.warning(
                "The record in %(folder)s of volume %(volume)s speaks of another "
                "volume or another node (%(about)s), so it is not believed. Its place "
                "is taken by what the kernel exports now, and by Cinder's attachments.",
                {
                    "folder": self.folder,
                    "volume": volume["id"],
                    "about": found.about or (found.export and found.export.target),
                },
            )
            return None
        return found

    def keep(self, volume: Any, record: Record, *, promised: bool) -> None:
        """Write the record of a volume's export.

        Args:
            volume: Cinder's.
            record: of it.
            promised: whether somebody is to be told that it is so. What was taken away
                stands anyway: it is remembered by this process until it can be written,
                or the next reconcile would let in again who was cut off.

        Raises:
            RecordNotWritten: it could not be written, and it was promised.
        """
        key, older = volume["name_id"], volume["id"]
        try:
            self.save(key, record)
        except RecordNotWritten as error:
            if promised:
                raise
            self._unwritten[key] = record, self._stamp(key)
            LOG.error(
                "%s Until then only this process knows it: a restart of cinder-volume "
                "or of the node goes by the older record.",
                error.msg,
            )
            return
        stale = self.load(older) if older != key else None
        if stale and stale.export and stale.speaks_of(volume):
            self.forget(older)

    def load(self, volume_id: str) -> Record | None:
        """Give the record of a volume; None if there is none that can be read."""
        unwritten, stamp = self._unwritten.get(volume_id, (None, None))
        if unwritten is not None and stamp == self._stamp(volume_id):
            return unwritten
        # Another process of this back end has written meanwhile, and knows more.
        self._unwritten.pop(volume_id, None)
        try:
            return self.read(volume_id)
        except RecordUnreadable as error:
            LOG.warning(
                "%s Its place is taken by what the kernel exports now, and by Cinder's "
                "attachments.",
                error.msg,
            )
            return None

    def read(self, volume_id: str) -> Record | None:
        """Give the record of a volume; None if there is none.

        Raises:
            RecordUnreadable: it cannot be read, or is no record.
        """
        path = self._path(volume_id)
        try:
            record = of_plain(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except UnknownFormError as error:
            cause = str(error)
            raise RecordUnreadable(volume=volume_id, path=path, cause=cause) from None
        except _UNREADABLE as error:
            # Not the error's text: it may quote the file.
            cause = getattr(error, "strerror", None) or type(error).__name__
            raise RecordUnreadable(volume=volume_id, path=path, cause=cause) from None
        if record.about is None or not record.about.state_volume:
            return record
        found = state_volume.below(self.folder)
        return record.found_on(found.uuid if found else "")

    def save(self, volume_id: str, record: Record) -> None:
        """Write the record of a volume.

        Raises:
            RecordNotWritten: it could not be written; see ``durable.replace``.
        """
        path = self._path(volume_id)
        # In one line: json's fast encoder knows no indent.
        text = json.dumps(plain(record))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.replace(path, text.encode())
        except OSError as error:
            raise RecordNotWritten(
                volume=volume_id, path=path, cause=error.strerror, cure=durable.CURE
            ) from error
        self._unwritten.pop(volume_id, None)

    def state_volume(self, group: str) -> str:
        """Give the UUID of a group's state volume; empty if they are not on one."""
        return state_volume.of_group(self.folder, group)

    def is_written(self, volume_id: str) -> bool:
        """Say whether the file has what is known."""
        return volume_id not in self._unwritten

    def forget(self, volume_id: str, *, fences: bool = True) -> None:
        """Delete the record of a volume that is gone. A file that stays is told.

        Args:
            volume_id: its ``name_id``.
            fences: whether its fences are deleted, too.
        """
        self._unwritten.pop(volume_id, None)
        if fences:
            self.fences.forget(volume_id)
        path = self._path(volume_id)
        try:
            durable.remove(path)
        except OSError as error:
            LOG.error(
                "The record %(path)s of volume %(volume)s, which is gone, cannot be "
                "deleted: %(cause)s. It has passwords of hosts that are good for "
                "nothing any more. %(cure)s The next reconcile deletes it.",
                {
                    "path": path,
                    "volume": volume_id,
                    "cause": error.strerror,
                    "cure": durable.CURE,
                },
            )

    def volumes(self) -> Iterator[str]:
        """Give the ids of all volumes that have a record."""
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if path.suffix == _SUFFIX:
                    yield path.stem

    def owner(self) -> str | None:
        """Give the user that the folder belongs to, if that is another than this one.

        It is a number where that user has no name here.

        Files and locks that another user leaves behind, cinder-volume could not take.
        """
        owner = state_folder.owner(self.folder)
        if owner is None or owner == os.geteuid():
            return None
        return state_folder.name_of(owner)

    def prefixes(self, group: str) -> frozenset[str]:
        """Give what the names of the recorded targets of a volume group begin with.

        There are none in a folder that cannot be read.
        """
        found = set()
        try:
            volumes = list(self.volumes())
        except OSError:
            return frozenset()
        for volume_id in volumes:
            record = self.load(volume_id)
            export = record.export if record and record.is_of_this_node else None
            if export is not None:
                folder, _, name = export.device.rpartition("/")
                if folder == f"/dev/{group}" and export.target.endswith(name):
                    found.add(export.target.removesuffix(name))
        return frozenset(found)

    def _stamp(self, volume_id: str) -> object:
        """Give something that changes when the file is replaced."""
        try:
            found = self._path(volume_id).stat()
        except OSError as error:
            return error.errno
        return found.st_ino, found.st_mtime_ns

    def _path(self, volume_id: str) -> Path:
        return self.folder / f"{volume_id}{_SUFFIX}"
