# SPDX-License-Identifier: Apache-2.0
"""A back end leaves a node: nothing of it is exported there, and all else stays."""

import dataclasses

import pytest

from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.exception import StepUnfinished
from taikun_cinder.volume_groups import Group
from tests.unit.cli.conftest import backend_of
from tests.unit.cloud import A, B
from tests.unit.memory import name_of
from tests.unit.targets.lio.states import CREDENTIALS, HOSTS, PORTALS

#: A volume of nobody's here.
_OTHER = "0f2f7b3e-5f0e-4c7a-9d0e-3a1b5c7d9e11"


@pytest.fixture
def unexport(cloud, command):
    """Return a function that takes the back end off the node; and what came of it."""

    def run(*arguments, found=None):
        backend = found or backend_of(cloud)
        return command(
            "unexport", "--backend", backend.name, *arguments, found=[backend]
        )

    return run


def _export(cloud, name, device):
    grant = Grant(HOSTS[0], CREDENTIALS[HOSTS[0]], Mode.RW)
    made = Export(name, device, "serial", frozenset(PORTALS[:1]), frozenset({grant}))
    cloud.target.ensure(name, made)


def test_nothing_of_the_back_end_is_exported_any_more(cloud, unexport):
    volumes = [cloud.volume(), cloud.volume()]
    attached = [cloud.attach(volume, host) for volume in volumes for host in (A, B)]
    records = [cloud.record(volume).read_text() for volume in volumes]
    done = unexport()
    assert done.status == 0, done
    assert "2 exports of cinder-volumes are removed" in done.out
    assert cloud.target.names("") == frozenset()
    assert not any(one.session.alive for one in attached)
    # By these the other node exports the same.
    assert [cloud.record(volume).read_text() for volume in volumes] == records
    again = unexport()
    assert again.status == 0
    assert "0 exports" in again.out


def test_exports_of_other_groups_and_of_other_names_stay(cloud, unexport):
    cloud.attach(cloud.volume(), A)
    prefix = "iqn.2010-10.org.openstack:"
    stays = {
        f"{prefix}volume-{_OTHER}": f"/dev/other/volume-{_OTHER}",
        f"{prefix}by-hand": "/dev/cinder-volumes/by-hand",
    }
    for name, device in stays.items():
        _export(cloud, name, device)
    assert unexport().status == 0
    assert cloud.target.names("") == stays.keys()


def test_export_under_a_former_prefix_goes_too(cloud, unexport):
    name = f"iqn.1999-01.org.example:volume-{_OTHER}"
    _export(cloud, name, f"/dev/cinder-volumes/volume-{_OTHER}")
    assert unexport().status == 0
    assert cloud.target.names("") == frozenset()


@pytest.mark.parametrize("active", [True, False])
def test_what_shows_no_device_goes_where_a_volume_of_its_name_is_active(
    cloud, unexport, tmp_path, active
):
    volume = cloud.load(cloud.volume())
    cloud.attach(volume["id"], A)
    name = name_of(volume)
    cloud.target.kernel.put(
        dataclasses.replace(cloud.target.kernel.read(name), backstore=None)
    )
    if active:
        (tmp_path / volume["name"]).touch()
    own = backend_of(cloud)
    own.group.folder = tmp_path
    assert unexport(found=own).status == 0
    assert cloud.target.names("") == (set() if active else {name})


def test_one_that_hangs_is_told_and_keeps_no_other_there(cloud, unexport, monkeypatch):
    hangs, goes = cloud.volume(), cloud.volume()
    for volume in (hangs, goes):
        cloud.attach(volume, A)
    name, ensure = name_of(cloud.load(hangs)), cloud.target.ensure

    def hang(target, *arguments, **named):
        if target == name:
            raise StepUnfinished(target=name, step="remove it", cause="30 s passed")
        return ensure(target, *arguments, **named)

    monkeypatch.setattr(cloud.target, "ensure", hang)
    done = unexport()
    assert done.status == 1
    assert f"{name} is exported still" in done.complaints
    assert "1 exports of cinder-volumes are removed, and 1 are left" in done.out
    assert cloud.target.names("") == {name}


def test_back_end_must_be_named(cloud, command):
    cloud.attach(cloud.volume(), A)
    with pytest.raises(SystemExit, match="2"):
        command("unexport", found=[backend_of(cloud)])
    assert len(cloud.target.names("")) == 1


def test_it_needs_neither_lvm_nor_the_database(cloud, unexport, down):
    cloud.attach(cloud.volume(), A)

    def no_lvm():
        pytest.fail("LVM was asked")

    own = backend_of(cloud)
    own = dataclasses.replace(own, group=Group("cinder-volumes", no_lvm))
    down(True)
    done = unexport(found=own)
    assert done.status == 0
    assert cloud.target.names("") == frozenset()
