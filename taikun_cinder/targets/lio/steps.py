# SPDX-License-Identifier: Apache-2.0
"""The single changes to what LIO has for one volume, each with its effect.

``after`` is the one definition of what a step does: the property tests reason with it,
the LIO in memory of the tests is made of it, and the kernel has to do the same. A step
that the kernel would refuse is an error there too. A step is only ever given to a
kernel in the state that ``plan`` saw, so none of them has to look again: RemoveLun
finds no mapped LUN that leads there, RemoveBackstore no LUN, AddLun a backstore. The
steps that make, change and remove backstores are in ``disk_steps``.

The privileged process knows each step by the name of its class in small letters, with
its fields in their order (``privsep.changes``). It may be killed between any two of the
things that a step does there (CreateBackstore, MapLun). ``kernel.read`` must then show
a state that is not taken for the finished one, and that gives no host more access.
"""

import abc
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    LUN,
    READERS_LUN,
    AclState,
    LioState,
    MappedLunState,
    TargetState,
    TpgState,
)

K = TypeVar("K")
V = TypeVar("V")


class ImpossibleStepError(Exception):
    """A kernel in this state would refuse the step."""


class Step(abc.ABC):
    """One change to what LIO has for one volume. Its ``repr`` shows no secret."""

    @abc.abstractmethod
    def _after(self, observed: LioState) -> LioState: ...

    def after(self, observed: LioState) -> LioState:
        """Give the state after the step.

        Raises:
            ImpossibleStepError: the kernel would refuse it.
        """
        return self._after(observed)

    @property
    def call(self) -> tuple[Any, ...]:
        """Its name and its arguments for the privileged process, as plain values."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        return name, *_plain(self)

    def require(self, possible: object) -> None:
        """Refuse what the kernel would refuse.

        Raises:
            ImpossibleStepError: it is not possible.
        """
        if not possible:
            raise ImpossibleStepError(self)


@dataclasses.dataclass(frozen=True)
class PersonalStep(Step):
    """A change to one initiator's access, and to nothing that another stands on."""

    initiator: Initiator


@dataclasses.dataclass(frozen=True)
class ChangeAcl(PersonalStep):
    """A change to an ACL that there is."""

    @abc.abstractmethod
    def _changed(self, acl: AclState) -> AclState: ...

    def _after(self, observed: LioState) -> LioState:
        self.require(self.initiator in observed.acls)
        return _with_acl(observed, self, self._changed(observed.acls[self.initiator]))


def after(observed: LioState, step: Step) -> LioState:
    """Give the state after a step, see ``Step.after``."""
    return step.after(observed)


@dataclasses.dataclass(frozen=True)
class CreateTarget(Step):
    """Make the target, without any TPG."""

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.target is None)
        return dataclasses.replace(observed, target=TargetState())


@dataclasses.dataclass(frozen=True)
class RemoveTarget(Step):
    """Remove the target with all that is in it. Its sessions end."""

    def _after(self, observed: LioState) -> LioState:
        return dataclasses.replace(observed, target=None)


@dataclasses.dataclass(frozen=True)
class CreateTpg(Step):
    """Make the TPG with the tag 1, disabled, with the attributes it must have."""

    def _after(self, observed: LioState) -> LioState:
        self.require(observed.target is not None and observed.tpg is None)
        return _with_tpg(observed, TpgState(attributes=ATTRIBUTES))


@dataclasses.dataclass(frozen=True)
class RemoveTpg(Step):
    """Remove another TPG with all that is in it. Its sessions end."""

    tag: int

    def _after(self, observed: LioState) -> LioState:
        target = observed.target
        if target is None:
            raise ImpossibleStepError(self)
        rest = target.other_tpgs - {self.tag}
        return dataclasses.replace(
            observed, target=dataclasses.replace(target, other_tpgs=rest)
        )


@dataclasses.dataclass(frozen=True)
class SetAttribute(Step):
    """Set one attribute of the TPG."""

    name: str
    value: int

    @property
    def call(self) -> tuple[Any, ...]:
        """The privileged process knows itself what the attribute must be."""
        return "pin_attribute", self.name

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        changed = {**tpg.attributes, self.name: self.value}
        return _with_tpg(observed, dataclasses.replace(tpg, attributes=changed))


@dataclasses.dataclass(frozen=True)
class EnableTpg(Step):
    """Let the initiators that have an ACL log in."""

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        return _with_tpg(observed, dataclasses.replace(tpg, enabled=True))


@dataclasses.dataclass(frozen=True)
class AddLun(Step):
    """Make LUN 0, or the readers' LUN 1, leading to its backstore."""

    index: int = LUN

    def _after(self, observed: LioState) -> LioState:
        tpg, backstore = _tpg(observed, self), observed.backstore
        name = observed.name
        if self.index == READERS_LUN:
            backstore, name = observed.readers, observed.readers_name
        self.require(backstore is not None and backstore.active)
        self.require(self.index not in tpg.luns)
        luns = {**tpg.luns, self.index: name}
        return _with_tpg(observed, dataclasses.replace(tpg, luns=luns))


@dataclasses.dataclass(frozen=True)
class RemoveLun(Step):
    """Remove a LUN of the TPG."""

    index: int

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        for acl in tpg.acls.values():
            leading_there = (mapped.lun == self.index for mapped in acl.mapped.values())
            self.require(not any(leading_there))
        luns = _without(tpg.luns, self.index)
        return _with_tpg(observed, dataclasses.replace(tpg, luns=luns))


@dataclasses.dataclass(frozen=True)
class AddPortal(Step):
    """Listen at a portal."""

    portal: Portal

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        for portal in tpg.portals:
            self.require(not portal.clashes(self.portal))
        portals = tpg.portals | {self.portal}
        return _with_tpg(observed, dataclasses.replace(tpg, portals=portals))


@dataclasses.dataclass(frozen=True)
class RemovePortal(Step):
    """Stop listening at a portal. Sessions that came in there go on."""

    portal: Portal

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        portals = tpg.portals - {self.portal}
        return _with_tpg(observed, dataclasses.replace(tpg, portals=portals))


@dataclasses.dataclass(frozen=True)
class CreateAcl(PersonalStep):
    """Make an ACL without credentials and LUNs: nobody can log in by it yet."""

    def _after(self, observed: LioState) -> LioState:
        self.require(self.initiator not in observed.acls)
        return _with_acl(observed, self, AclState())


@dataclasses.dataclass(frozen=True)
class RemoveAcl(PersonalStep):
    """Remove an ACL with its mapped LUNs. Its session ends at once."""

    def _after(self, observed: LioState) -> LioState:
        tpg = _tpg(observed, self)
        acls = _without(tpg.acls, self.initiator)
        return _with_tpg(observed, dataclasses.replace(tpg, acls=acls))


@dataclasses.dataclass(frozen=True)
class SetCredentials(ChangeAcl):
    """Let the initiator log in with these only. A live session goes on.

    The ACL's own ``authentication``, where the kernel has it, must be on afterwards.
    """

    credentials: Credentials

    def _changed(self, acl: AclState) -> AclState:
        return dataclasses.replace(acl, credentials=self.credentials)


@dataclasses.dataclass(frozen=True)
class MapLun(ChangeAcl):
    """Show LUN 0 or 1 to the initiator, write-protected from the first moment if asked.

    The readers' LUN 1 is always shown write-protected.
    """

    write_protect: bool
    index: int = LUN

    def _after(self, observed: LioState) -> LioState:
        self.require(self.index in observed.luns)
        self.require(self.write_protect or self.index == LUN)
        return super()._after(observed)

    def _changed(self, acl: AclState) -> AclState:
        self.require(self.index not in acl.mapped)
        made = MappedLunState(self.index, self.write_protect)
        return dataclasses.replace(acl, mapped={**acl.mapped, self.index: made})


@dataclasses.dataclass(frozen=True)
class UnmapLun(ChangeAcl):
    """Show the initiator nothing under this index."""

    index: int

    def _changed(self, acl: AclState) -> AclState:
        return dataclasses.replace(acl, mapped=_without(acl.mapped, self.index))


@dataclasses.dataclass(frozen=True)
class SetWriteProtect(ChangeAcl):
    """Refuse writes of the initiator through its LUN, or refuse them no more."""

    write_protect: bool
    index: int = LUN

    def _changed(self, acl: AclState) -> AclState:
        self.require(self.index in acl.mapped)
        changed = dataclasses.replace(
            acl.mapped[self.index], write_protect=self.write_protect
        )
        return dataclasses.replace(acl, mapped={**acl.mapped, self.index: changed})


def _plain(value: Any) -> Iterator[Any]:
    """Give the fields of a step, and of what it is made of, in their order."""
    if not dataclasses.is_dataclass(value):
        yield value
        return
    for field in dataclasses.fields(value):
        yield from _plain(getattr(value, field.name))


def _with_acl(observed: LioState, step: PersonalStep, acl: AclState) -> LioState:
    tpg = _tpg(observed, step)
    acls = {**tpg.acls, step.initiator: acl}
    return _with_tpg(observed, dataclasses.replace(tpg, acls=acls))


def _with_tpg(observed: LioState, tpg: TpgState) -> LioState:
    target = observed.target or TargetState()
    return dataclasses.replace(observed, target=dataclasses.replace(target, tpg=tpg))


def _tpg(observed: LioState, step: Step) -> TpgState:
    if observed.tpg is None:
        raise ImpossibleStepError(step)
    return observed.tpg


def _without(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    return {other: value for other, value in mapping.items() if other != key}
