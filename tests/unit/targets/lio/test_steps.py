# SPDX-License-Identifier: Apache-2.0
"""Each step can be asked for from the privileged process."""

import dataclasses
import inspect

import pytest

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.privsep import lio
from taikun_cinder.targets.lio import disk_steps, steps
from taikun_cinder.targets.lio.states import (
    CHANGING,
    BackstoreState,
    LioState,
    TargetState,
    TpgState,
)

VALUES = {
    "device": "/dev/vg/volume",
    "serial": "0123",
    "tag": 2,
    "name": "authentication",
    "refused": True,
    "discard": True,
    "value": 1,
    "index": 0,
    "portal": Portal("::1"),
    "initiator": Initiator("iqn.2026-11.com.example:a"),
    "credentials": Credentials("user", "password"),
    "write_protect": True,
}


def _steps():
    known = {**vars(steps), **vars(disk_steps)}
    kinds = [kind for kind in known.values() if inspect.isclass(kind)]
    found = [kind for kind in kinds if issubclass(kind, steps.Step)]
    return [step for step in found if not step.__subclasses__()]


def _values(step):
    values = (
        {**VALUES, "name": "emulate_caw"} if step is disk_steps.SetRefused else VALUES
    )
    return {field: values[field] for field in inspect.signature(step).parameters}


def test_every_step_can_be_asked_for():
    names = {step(**_values(step)).call[0] for step in _steps()}
    assert names == lio.CHANGES.keys()
    for step in _steps():
        name, *arguments = step(**_values(step)).call
        _, checks = lio.CHANGES[name]
        assert len(arguments) == len(checks)
        assert all(isinstance(value, str | int | bool) for value in arguments)


#: What the kernel does though nothing is there.
_ANYTIME = {
    "CreateBackstore",
    "CreateReaders",
    "CreateTarget",
    "RemoveBackstore",
    "RemoveReaders",
    "RemoveTarget",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(one, id=one.__name__) for one in _steps()]
)
def test_step_that_the_kernel_would_refuse_names_itself(kind):
    step = kind(**_values(kind))
    nothing = LioState("iqn.2010-10.org.openstack:volume-1")
    if kind.__name__ in _ANYTIME:
        step.after(nothing)
        return
    with pytest.raises(steps.ImpossibleStepError) as impossible:
        step.after(nothing)
    assert impossible.value.args == (step,)


def test_other_tpg_goes_alone():
    target = TargetState(other_tpgs=frozenset({2, 3}))
    there = LioState("iqn.2010-10.org.openstack:volume-1", target=target)
    left = dataclasses.replace(target, other_tpgs=frozenset({3}))
    assert steps.RemoveTpg(2).after(there) == dataclasses.replace(there, target=left)


@pytest.mark.parametrize("active", [None, True, False])
@pytest.mark.parametrize(("index", "disk"), [(0, "backstore"), (1, "readers")])
def test_lun_is_made_for_a_disk_that_is_active_and_for_no_other(active, index, disk):
    target = TargetState(TpgState(), other_tpgs=frozenset({2}))
    both = BackstoreState("/dev/vg/volume", "0123", active=True, refuses=frozenset())
    name = "iqn.2010-10.org.openstack:volume-1"
    there = LioState(name, both, target, both)
    own = None if active is None else dataclasses.replace(both, active=active)
    if disk == "readers":
        there = dataclasses.replace(there, readers=own)
    else:
        there = dataclasses.replace(there, backstore=own)
    step = steps.AddLun(index)
    if not active:
        with pytest.raises(steps.ImpossibleStepError) as impossible:
            step.after(there)
        assert impossible.value.args == (step,)
        return
    name = there.readers_name if disk == "readers" else name
    # What else the target has stays.
    changed = dataclasses.replace(target, tpg=TpgState(luns={index: name}))
    assert step.after(there) == dataclasses.replace(there, target=changed)


@pytest.mark.parametrize("active", [True, False])
def test_main_disk_is_changed_as_long_as_it_is_active(active):
    own = BackstoreState("/dev/vg/volume", "0123", active=active, refuses=frozenset())
    there = LioState("iqn.2010-10.org.openstack:volume-1", backstore=own)
    step = disk_steps.SetRefused("emulate_caw", refused=True)
    if not active:
        with pytest.raises(steps.ImpossibleStepError) as impossible:
            step.after(there)
        assert impossible.value.args == (step,)
        return
    changed = dataclasses.replace(own, refuses=frozenset({"emulate_caw"}))
    assert step.after(there) == dataclasses.replace(there, backstore=changed)


@pytest.mark.parametrize("active", [True, False])
def test_readers_disk_refuses_all_again(active):
    own = BackstoreState("/dev/vg/volume", "0123", active=active, refuses=frozenset())
    there = LioState("iqn.2010-10.org.openstack:volume-1", readers=own)
    if not active:
        with pytest.raises(steps.ImpossibleStepError):
            disk_steps.HardenReaders().after(there)
        return
    hardened = dataclasses.replace(own, refuses=CHANGING)
    expected = dataclasses.replace(there, readers=hardened)
    assert disk_steps.HardenReaders().after(there) == expected
