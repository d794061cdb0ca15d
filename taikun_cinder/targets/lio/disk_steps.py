# SPDX-License-Identifier: Apache-2.0
"""The single changes to a volume's backstores; see ``steps``."""

import abc
import dataclasses

from taikun_cinder.targets.lio.states import CHANGING, BackstoreState, LioState
from taikun_cinder.targets.lio.steps import ImpossibleStepError, Step


@dataclasses.dataclass(frozen=True)
class CreateBackstore(Step):
    """Make, configure and enable the main backstore, with its serial.

    Until somebody says otherwise, it takes no UNMAP.
    """

    device: str
    serial: str

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.backstore is None)
        made = BackstoreState(self.device, self.serial, active=True)
        return dataclasses.replace(observed, backstore=made)


@dataclasses.dataclass(frozen=True)
class ChangeBackstore(Step):
    """A change to the main backstore, which its hosts may be using."""

    @abc.abstractmethod
    def _changed(self, backstore: BackstoreState) -> BackstoreState: ...

    def _after(self, observed: LioState) -> LioState:
        if observed.backstore is None or not observed.backstore.active:
            raise ImpossibleStepError(self)
        changed = self._changed(observed.backstore)
        return dataclasses.replace(observed, backstore=changed)


@dataclasses.dataclass(frozen=True)
class SetRefused(ChangeBackstore):
    """Refuse a command of ``PASSABLE``, or refuse it no more."""

    name: str
    refused: bool

    def _changed(self, backstore: BackstoreState) -> BackstoreState:
        rest = backstore.refuses - {self.name}
        refuses = rest | {self.name} if self.refused else rest
        return dataclasses.replace(backstore, refuses=refuses)


@dataclasses.dataclass(frozen=True)
class SetDiscard(ChangeBackstore):
    """Take UNMAP, or take it no more. Hosts notice when they look at the disk again."""

    discard: bool

    def _changed(self, backstore: BackstoreState) -> BackstoreState:
        return dataclasses.replace(backstore, discard=self.discard)


@dataclasses.dataclass(frozen=True)
class RemoveBackstore(Step):
    """Remove the backstore, whole or half-built, and close its device."""

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.name not in observed.luns.values())
        return dataclasses.replace(observed, backstore=None)


class ReadersStep(Step):
    """A step that only the hosts that see the readers' disk can feel."""


@dataclasses.dataclass(frozen=True)
class CreateReaders(ReadersStep):
    """Make, configure and enable the readers' backstore, hardened and with its serial.

    It can fail where the others do not: the kernel may lack what it takes.
    """

    device: str
    serial: str

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.readers is None)
        made = BackstoreState(self.device, self.serial, active=True, refuses=CHANGING)
        return dataclasses.replace(observed, readers=made)


@dataclasses.dataclass(frozen=True)
class HardenReaders(ReadersStep):
    """Let the readers' backstore refuse again all that could change anything."""

    def _after(self, observed: LioState) -> LioState:
        if observed.readers is None or not observed.readers.active:
            raise ImpossibleStepError(self)
        hardened = dataclasses.replace(observed.readers, refuses=CHANGING)
        return dataclasses.replace(observed, readers=hardened)


@dataclasses.dataclass(frozen=True)
class RemoveReaders(ReadersStep):
    """Remove the readers' backstore, whole or half-built, and close its device."""

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.readers_name not in observed.luns.values())
        return dataclasses.replace(observed, readers=None)
