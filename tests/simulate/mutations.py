# SPDX-License-Identifier: Apache-2.0
"""Faults that are planted in the driver, to see that the laws notice them."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

from taikun_cinder import (
    attachment_log,
    database,
    durable,
    exports,
    extension,
    extra_specs,
    known,
    locks,
    modes,
)
from taikun_cinder.access import expiry, termination
from taikun_cinder.access.fence import Fence
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Mode
from taikun_cinder.driver import MultiattachLVMDriver
from taikun_cinder.exports import Exports
from taikun_cinder.layout import Layout
from taikun_cinder.records import Records
from tests.simulate.disk import SimOs

_Plant = Callable[[], contextlib.AbstractContextManager[object]]


def _ends_nothing() -> contextlib.AbstractContextManager[object]:
    """A detach answers, and ends nothing."""
    return mock.patch.object(Ledger, "_ending", lambda self, attachments, now: self)


def _lets_in_again() -> contextlib.AbstractContextManager[object]:
    """What a detach has ended is forgotten as long as Cinder has its row."""
    real = Ledger.prune

    def prune(self: Ledger, *arguments: Any) -> Ledger:
        found = real(self, *arguments)
        return Ledger(**{**vars(found), "ended": {}})

    return mock.patch.object(Ledger, "prune", prune)


def _everybody_writes() -> contextlib.AbstractContextManager[object]:
    """The mode that was asked for is not heard."""
    return mock.patch.object(modes, "asked", return_value=Mode.RW)


def _no_file_is_synced() -> contextlib.AbstractContextManager[object]:
    """A record takes its place before it is on the disk."""
    return mock.patch.object(SimOs, "fsync")


def _no_folder_is_synced() -> contextlib.AbstractContextManager[object]:
    """A record's new name is not on the disk when Cinder is answered."""
    return mock.patch.object(durable, "_sync")


def _no_lock() -> contextlib.AbstractContextManager[object]:
    """Nobody waits for a volume's lock."""

    @contextlib.contextmanager
    def held(name_id: str) -> Iterator[None]:
        yield

    return mock.patch.object(locks, "held", held)


def _no_fence() -> contextlib.AbstractContextManager[object]:
    """A fence is forgotten when its host was cut off."""
    return mock.patch.multiple(
        Fence,
        applied=lambda self, attachments, ledger: ledger,
        keeps_out=lambda self, ledger: False,
        refuses=lambda self, connection: False,
    )


def _failed_attach_ends_all() -> contextlib.AbstractContextManager[object]:
    """An attach that failed takes the target away, as the in-tree driver's does."""

    def remove_export(self: Any, context: Any, volume: Any) -> None:
        self._target.ensure(self._exports.location(volume), None)

    return mock.patch.object(MultiattachLVMDriver, "remove_export", remove_export)


def _another_disk() -> contextlib.AbstractContextManager[object]:
    """A volume has another serial each time it is exported."""
    real = Layout.export
    ids = iter(str(uuid.UUID(int=number)) for number in range(1 << 30))

    def export(self: Layout, volume: Any, target: str, granted: Any) -> Any:
        row = {**{key: volume[key] for key in ("id", "name")}, "name_id": next(ids)}
        return real(self, row, target, granted)

    return mock.patch.object(Layout, "export", export)


def _told_password() -> contextlib.AbstractContextManager[object]:
    """The log has a password."""
    real = attachment_log.attached

    def attached(request: Any, grant: Any, *more: Any) -> None:
        real(request, grant, *more)
        attachment_log.LOG.info("attached with %s", grant.credentials.password)

    return mock.patch.object(attachment_log, "attached", attached)


def _leaks_records() -> contextlib.AbstractContextManager[object]:
    """The record of a deleted volume stays."""
    return mock.patch.object(Records, "forget")


def _forgets_answers() -> contextlib.AbstractContextManager[object]:
    """The record does not have the answers that no row shows yet."""
    real: Any = vars(exports)["Record"]

    def record(*given: Any) -> Any:
        if not given:
            return real()
        export, ledger, about = given
        return real(export, Ledger(**{**vars(ledger), "connections": ()}), about)

    return mock.patch.object(exports, "Record", record)


def _takes_for_repeated() -> contextlib.AbstractContextManager[object]:
    """A request like an earlier one is a repeated one, whatever its id."""
    real = Ledger.settle

    def settle(self: Ledger, attachments: Any, now: float, request: str) -> Ledger:
        return real(self, attachments, now)

    return mock.patch.object(Ledger, "settle", settle)


def _forgets_disks() -> contextlib.AbstractContextManager[object]:
    """A host has the disk that its row names, and loses the one that it was told."""
    return mock.patch.object(known, "kept", lambda disks, attachments: attachments)


def _takes_for_attachments() -> contextlib.AbstractContextManager[object]:
    """The end of a connection of the old API is taken for that of an attachment."""
    return mock.patch.object(termination, "_made_alike", return_value=None)


def _forgets_nameless() -> contextlib.AbstractContextManager[object]:
    """An attachment that names no host keeps nobody in."""
    return mock.patch.object(expiry, "_protects", return_value=False)


def _keeps_type() -> contextlib.AbstractContextManager[object]:
    """The rule of the type holds that a volume had when it was attached first."""
    real, known = extra_specs.rule, dict[str, Any]()

    def rule(configuration: Any, volume: Any) -> Any:
        return known.setdefault(volume["id"], real(configuration, volume))

    return mock.patch.object(extra_specs, "rule", rule)


def _stays_failed() -> contextlib.AbstractContextManager[object]:
    """A volume that cannot grow now is not given back."""
    return mock.patch.object(extension, "_give_back")


def _source_takes_over() -> contextlib.AbstractContextManager[object]:
    """What a migration has left is taken for the volume that has its name."""
    stack = contextlib.ExitStack()
    stack.enter_context(mock.patch.object(Exports, "shows_another", return_value=False))
    stack.enter_context(mock.patch.object(database, "is_source", return_value=False))
    return stack


def _copies_beside_servers() -> contextlib.AbstractContextManager[object]:
    """A migration ends whoever has come to the volume meanwhile."""
    return mock.patch.multiple(
        Exports,
        refuse_busy=lambda self, volume: None,
        kept_to_itself=lambda self, volume: contextlib.nullcontext(),
    )


#: The faults, by name.
MUTATIONS: Mapping[str, _Plant] = {
    "ends-nothing": _ends_nothing,
    "lets-in-again": _lets_in_again,
    "everybody-writes": _everybody_writes,
    "no-file-is-synced": _no_file_is_synced,
    "no-folder-is-synced": _no_folder_is_synced,
    "no-lock": _no_lock,
    "no-fence": _no_fence,
    "failed-attach-ends-all": _failed_attach_ends_all,
    "another-disk": _another_disk,
    "told-password": _told_password,
    "leaks-records": _leaks_records,
    "forgets-answers": _forgets_answers,
    "takes-for-repeated": _takes_for_repeated,
    "forgets-disks": _forgets_disks,
    "takes-for-attachments": _takes_for_attachments,
    "forgets-nameless": _forgets_nameless,
    "keeps-type": _keeps_type,
    "stays-failed": _stays_failed,
    "source-takes-over": _source_takes_over,
    "copies-beside-servers": _copies_beside_servers,
}
