# SPDX-License-Identifier: Apache-2.0
"""What several checks go by, looked up once."""

import functools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from oslo_config import cfg

from taikun_cinder import state_folder, target_faults
from taikun_cinder.checks.database_report import Database
from taikun_cinder.checks.lvm_report import Lvm
from taikun_cinder.cli.backends import Backend, host_of
from taikun_cinder.node import Node
from taikun_cinder.targets.looks import Place

T = TypeVar("T")


class Unanswered(Exception):  # noqa: N818 - it says what happened
    """What a check goes by could not be had, which another check tells.

    Attributes:
        told_by: the name of that one.
    """

    def __init__(self, told_by: str) -> None:
        super().__init__(told_by)
        self.told_by = told_by


class Once(Generic[T]):
    """Something that is looked up by the first who asks, and never again.

    So what hangs holds up the check that tells of it, and no other.

    Args:
        told_by: the name of the check that tells if it fails.
        look_up: looks it up.
    """

    def __init__(self, told_by: str, look_up: Callable[[], T]) -> None:
        self._told_by = told_by
        self._look_up = look_up
        self._begun = threading.Lock()
        self._result: list[T] = []

    def first(self) -> T:
        """Look it up, for the check that tells of it.

        Raises:
            Exception: whatever that raises.
        """
        if self._begun.acquire(blocking=False):
            self._result.append(self._look_up())
        return self.get()

    def get(self) -> T:
        """Give it, for all other checks.

        Raises:
            Unanswered: it could not be had, or not yet.
        """
        if self._begun.acquire(blocking=False):
            try:
                self._result.append(self._look_up())
            except Exception:
                raise Unanswered(self._told_by) from None
        if not self._result:
            raise Unanswered(self._told_by)
        return self._result[0]


class Facts:
    """A node with its back ends, and what was asked about them.

    Args:
        backends: that are looked at.
        node: that this runs on.
    """

    def __init__(self, backends: Sequence[Backend], node: Node) -> None:
        self.backends = tuple(backends)
        self.node = node
        self.database = Once("database", Database.asked)
        self._lvm = {
            backend.name: Once("lvm-commands", functools.partial(Lvm, backend.options))
            for backend in backends
        }
        self._places: dict[str, Place] = {}

    def place(self, backend: Backend) -> Place:
        """Give where the targets of a back end are to be."""
        if backend.name not in self._places:
            place = target_faults.place_of(backend.options, self.node)
            self._places[backend.name] = place
        return self._places[backend.name]

    def lvm(self, backend: Backend) -> Once[Lvm]:
        """Give what LVM says, as Cinder asks it for a back end."""
        return self._lvm[backend.name]

    def lvm_with_group(self, backend: Backend) -> Lvm:
        """Give the same, to ask for the volumes of the back end's group.

        Raises:
            Unanswered: LVM does not answer, or cannot show them.
        """
        lvm = self.lvm(backend).get()
        group = lvm.groups.get(backend.options.volume_group)
        if group is None or group["vg_exported"]:
            raise Unanswered("volume-group")
        return lvm

    @functools.cached_property
    def hosts(self) -> set[str]:
        """The names of this node's back ends, those that are not looked at included."""
        looked_at = (backend.name for backend in self.backends)
        enabled = filter(None, cfg.CONF.enabled_backends or ())
        return set(map(host_of, (*looked_at, *enabled)))

    @functools.cached_property
    def other_user(self) -> str | None:
        """The user of cinder-volume, if this is another one; None if it is not known.

        It is the one whom the records belong to, or else Cinder's state.
        """
        folders = [backend.records.folder for backend in self.backends]
        for folder in (*folders, Path(cfg.CONF.state_path)):
            if (owner := state_folder.owner(folder)) is not None:
                return None if owner == os.geteuid() else state_folder.name_of(owner)
        return None


def run_as(user: str) -> str:
    """Say how to look as another user."""
    return f"Run runuser -u {user} -- taikun-cinder check"
