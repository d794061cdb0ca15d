# SPDX-License-Identifier: Apache-2.0
"""What each step does to what is in the kernel: the one definition of it.

The target in memory is made of this, the property tests reason with it, and LIO has to
do the same. What a kernel would refuse is an error here too.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, TypeVar

from taikun_cinder.access import steps
from taikun_cinder.access.model import Initiator
from taikun_cinder.access.observed import (
    ATTRIBUTES,
    LUN,
    Observed,
    ObservedAcl,
    ObservedBackstore,
    ObservedMapping,
    ObservedTarget,
    ObservedTpg,
)

K = TypeVar("K")
V = TypeVar("V")


class ImpossibleStepError(Exception):
    """A kernel in this state would refuse the step."""


def after(observed: Observed, step: steps.Step) -> Observed:
    """Give what there is when the step was taken.

    Raises:
        ImpossibleStepError: the kernel would refuse it.
    """
    result: Observed = _after(step, observed)
    return result


@singledispatch
def _after(step: Any, observed: Observed) -> Observed:
    raise TypeError(f"{step} is no step")


@_after.register
def _(step: steps.CreateBackstore, observed: Observed) -> Observed:
    _require(observed.backstore is None, step)
    made = ObservedBackstore(step.device, step.serial, active=True)
    return dataclasses.replace(observed, backstore=made)


@_after.register
def _(step: steps.RemoveBackstore, observed: Observed) -> Observed:
    _require(observed.name not in observed.luns.values(), step)
    return dataclasses.replace(observed, backstore=None)


@_after.register
def _(step: steps.CreateTarget, observed: Observed) -> Observed:
    _require(observed.target is None, step)
    return dataclasses.replace(observed, target=ObservedTarget())


@_after.register
def _(step: steps.RemoveTarget, observed: Observed) -> Observed:
    return dataclasses.replace(observed, target=None)


@_after.register
def _(step: steps.CreateTpg, observed: Observed) -> Observed:
    _require(observed.target is not None and observed.tpg is None, step)
    return _with_tpg(observed, ObservedTpg(attributes=ATTRIBUTES))


@_after.register
def _(step: steps.RemoveTpg, observed: Observed) -> Observed:
    target = observed.target
    if target is None:
        raise ImpossibleStepError(step)
    rest = target.other_tpgs - {step.tag}
    return dataclasses.replace(
        observed, target=dataclasses.replace(target, other_tpgs=rest)
    )


@_after.register
def _(step: steps.SetAttribute, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    changed = _put(tpg.attributes, step.name, step.value)
    return _with_tpg(observed, dataclasses.replace(tpg, attributes=changed))


@_after.register
def _(step: steps.EnableTpg, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    return _with_tpg(observed, dataclasses.replace(tpg, enabled=True))


@_after.register
def _(step: steps.AddLun, observed: Observed) -> Observed:
    tpg, backstore = _tpg(observed, step), observed.backstore
    _require(backstore is not None and backstore.active, step)
    _require(LUN not in tpg.luns, step)
    luns = _put(tpg.luns, LUN, observed.name)
    return _with_tpg(observed, dataclasses.replace(tpg, luns=luns))


@_after.register
def _(step: steps.RemoveLun, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    for acl in tpg.acls.values():
        _require(all(one.lun != step.index for one in acl.mapped.values()), step)
    luns = _drop(tpg.luns, step.index)
    return _with_tpg(observed, dataclasses.replace(tpg, luns=luns))


@_after.register
def _(step: steps.AddPortal, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    for one in tpg.portals:
        _require(not one.clashes(step.portal), step)
    portals = tpg.portals | {step.portal}
    return _with_tpg(observed, dataclasses.replace(tpg, portals=portals))


@_after.register
def _(step: steps.RemovePortal, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    portals = tpg.portals - {step.portal}
    return _with_tpg(observed, dataclasses.replace(tpg, portals=portals))


@_after.register
def _(step: steps.CreateAcl, observed: Observed) -> Observed:
    _require(step.initiator not in observed.acls, step)
    return _with_acl(observed, step, ObservedAcl())


@_after.register
def _(step: steps.RemoveAcl, observed: Observed) -> Observed:
    tpg = _tpg(observed, step)
    acls = _drop(tpg.acls, step.initiator)
    return _with_tpg(observed, dataclasses.replace(tpg, acls=acls))


@_after.register
def _(step: steps.SetCredentials, observed: Observed) -> Observed:
    return _change_acl(
        observed,
        step,
        lambda acl: dataclasses.replace(acl, credentials=step.credentials),
    )


@_after.register
def _(step: steps.MapLun, observed: Observed) -> Observed:
    _require(LUN in observed.luns, step)

    def change(acl: ObservedAcl) -> ObservedAcl:
        _require(LUN not in acl.mapped, step)
        made = ObservedMapping(LUN, step.write_protect)
        return dataclasses.replace(acl, mapped=_put(acl.mapped, LUN, made))

    return _change_acl(observed, step, change)


@_after.register
def _(step: steps.UnmapLun, observed: Observed) -> Observed:
    return _change_acl(
        observed,
        step,
        lambda acl: dataclasses.replace(acl, mapped=_drop(acl.mapped, step.index)),
    )


@_after.register
def _(step: steps.SetWriteProtect, observed: Observed) -> Observed:
    def change(acl: ObservedAcl) -> ObservedAcl:
        _require(LUN in acl.mapped, step)
        changed = dataclasses.replace(acl.mapped[LUN], write_protect=step.write_protect)
        return dataclasses.replace(acl, mapped=_put(acl.mapped, LUN, changed))

    return _change_acl(observed, step, change)


def _change_acl(
    observed: Observed, step: Any, change: Callable[[ObservedAcl], ObservedAcl]
) -> Observed:
    _require(step.initiator in observed.acls, step)
    return _with_acl(observed, step, change(observed.acls[step.initiator]))


def _with_acl(observed: Observed, step: Any, acl: ObservedAcl) -> Observed:
    tpg = _tpg(observed, step)
    initiator: Initiator = step.initiator
    acls = _put(tpg.acls, initiator, acl)
    return _with_tpg(observed, dataclasses.replace(tpg, acls=acls))


def _with_tpg(observed: Observed, tpg: ObservedTpg) -> Observed:
    target = observed.target or ObservedTarget()
    return dataclasses.replace(observed, target=dataclasses.replace(target, tpg=tpg))


def _tpg(observed: Observed, step: Any) -> ObservedTpg:
    if observed.tpg is None:
        raise ImpossibleStepError(step)
    return observed.tpg


def _require(possible: bool, step: Any) -> None:
    if not possible:
        raise ImpossibleStepError(step)


def _put(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return {**mapping, key: value}


def _drop(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    return {one: value for one, value in mapping.items() if one != key}
