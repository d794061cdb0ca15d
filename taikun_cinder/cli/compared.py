# SPDX-License-Identifier: Apache-2.0
"""The back ends of this node, to be compared with what Cinder's database says."""

import contextlib
import functools
from collections.abc import Callable, Iterator

from cinder import coordination

from taikun_cinder import database, shared_volumes
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.verb import NothingDoneError
from taikun_cinder.exports import Exports
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.survey import Survey
from taikun_cinder.words import of_error


class ComparedBackend(Backend):
    """A back end of this node, and what compares it with Cinder's database."""

    @functools.cached_property
    def exports(self) -> Exports:
        """Its exports; they need Cinder's database, and its COORDINATOR started."""
        return Exports(
            self.target,
            self.layout,
            self.records,
            lambda volume: self.group.activate(volume["name"]),
            self.host,
            self.options.taikun_login_patience,
        )

    def survey(self, complain: Callable[[str], object]) -> Survey:
        """Give what looks at its volumes for an operator.

        Args:
            complain: told once that Cinder's database cannot be read.
        """
        return Survey(
            self.exports,
            self.records,
            self.options.taikun_database_patience,
            lambda line: complain(f"{self.host}: {line}"),
        )

    @functools.cached_property
    def reconcile(self) -> Reconcile:
        """Its reconcile, not started."""
        return Reconcile(
            self.exports,
            lambda: database.volumes_of(self.host),
            lambda: database.attached_volumes(self.host),
            lambda: database.knows_service(self.host),
            self.options.taikun_database_patience,
            self.options.taikun_max_revocations,
            is_guarded=functools.partial(shared_volumes.is_guarded, self.options),
        )


@contextlib.contextmanager
def coordinated() -> Iterator[None]:
    """Have the volumes' locks meanwhile, and no long patience with the database.

    Raises:
        NothingDoneError: the locks cannot be had.
    """
    database.give_up_soon()
    try:
        coordination.COORDINATOR.start()
    except Exception as error:
        raise NothingDoneError(
            "the locks that backend_url of section [coordination] of cinder.conf names "
            f"cannot be had: {of_error(error)}"
        ) from error
    try:
        yield
    finally:
        coordination.COORDINATOR.stop()
