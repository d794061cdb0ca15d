# SPDX-License-Identifier: Apache-2.0
"""What a run, its operations and its laws ask of Cinder's database.

There are two: rows in memory (``memory_store``), and Cinder's own database and objects
over SQLite (``cinder_store``). ``put`` says which of them is below the driver and
Cinder's manager.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import ModuleType
from typing import Any, Protocol

from cinder.volume import driver as cinder_driver
from cinder.volume import manager

from taikun_cinder import database
from tests.simulate import queries, types
from tests.simulate.rows import VolumeAttachmentList, objects
from tests.simulate.schedule import Scheduler
from tests.simulate.tables import Values

#: What is imitated with rows in memory, by module and name.
_IMITATED: Mapping[ModuleType, Mapping[str, Any]] = {
    database: {**queries.ANSWERS, "objects": objects},
    manager: {
        "objects": objects,
        "VA_LIST": VolumeAttachmentList,
        "volume_types": types.volume_types,
    },
    cinder_driver: {"objects": objects},
}

#: What there is in its place otherwise.
_REAL = {
    module: {name: vars(module)[name] for name in names}
    for module, names in _IMITATED.items()
}


def put(*, real: bool) -> None:
    """Put a database below the driver and the manager.

    Args:
        real: whether it is Cinder's own.
    """
    for module, values in (_REAL if real else _IMITATED).items():
        vars(module).update(values)


class Store(Protocol):
    """Cinder's database.

    A row is what the database has now, and goes on to be. What is set in it is in the
    database at once: as an operator changes it, and not a step of the run.

    Attributes:
        volumes: the rows of volumes by their ids, also those that are deleted.
        attachments: the same of attachments, oldest first; their JSON is text.
        services: the same of services, by their hosts.
        migrations: by the volume that a migration has made, the one that migrates.
        api: what a manager has as its ``db``.
    """

    @property
    def volumes(self) -> Mapping[str, MutableMapping[str, Any]]: ...

    @property
    def attachments(self) -> Mapping[str, MutableMapping[str, Any]]: ...

    @property
    def services(self) -> Mapping[str, Values]: ...

    @property
    def migrations(self) -> Mapping[str, str]: ...

    @property
    def api(self) -> Any: ...

    def attachments_of(self, *volumes: str) -> list[Values]:
        """Give those that are not deleted, oldest first."""
        ...

    def nameless(self, volume: str) -> int:
        """Say how many attachments are in use, and name no host."""
        ...

    # What is done beside the run: none of it is a step.

    def make_volume(self, id_: str, host: str) -> None:
        """Let there be a volume, available and without a type."""
        ...

    def add_service(self, host: str, uuid: str) -> None:
        """Let there be a service of a back end."""
        ...

    def lose_attachment(self, id_: str) -> Values | None:
        """Take a row out; give it, or None if there is none."""
        ...

    def lose_services(self) -> dict[str, Values]:
        """Take the rows of all services out; give them by their hosts."""
        ...

    def find(self, attachments: Iterable[Values], services: Iterable[Values]) -> None:
        """Bring back rows that were taken out."""
        ...

    def seen(self, id_: str) -> Any:
        """Give a volume's object as its row is now, as one who has just read it."""
        ...

    # What the services do: each transaction is a step.

    def request(self, id_: str = "") -> Any:
        """Give the context of a request.

        Args:
            id_: of the request; empty for one that nothing goes by.
        """
        ...

    def volume(self, id_: str) -> Any:
        """Read a volume.

        Raises:
            VolumeNotFound: there is none.
        """
        ...

    def attachment(self, id_: str) -> Any:
        """Read an attachment.

        Raises:
            VolumeAttachmentNotFound: there is none.
        """
        ...

    def sent(self, volume: Any) -> Any:
        """Give what another service gets of a volume that is sent to it."""
        ...

    def reserve(self, volume: str, server: str) -> str:
        """Make an attachment that has no connector; give its id."""
        ...

    def unreserve(self, volume: str) -> None:
        """Give a volume that is being attached its status back."""
        ...

    def destroy(self, volume: str) -> None:
        """Mark a volume as deleted."""
        ...


#: Makes the database of a run.
MakeStore = Callable[[Scheduler], Store]
