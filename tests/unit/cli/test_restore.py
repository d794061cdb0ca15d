# SPDX-License-Identifier: Apache-2.0
"""After a reboot a node exports again what its records say, without a database."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from cinder import coordination
from oslo_config import cfg

from taikun_cinder import group_faults, target_faults
from taikun_cinder.access.attachment import new_credentials
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.cli import backends
from taikun_cinder.cli import restore as restore_verb
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.restore import Restore
from taikun_cinder.node import Problem
from taikun_cinder.records import Records
from taikun_cinder.volume_record import About, Record
from tests.contract.memory import MemoryTarget
from tests.unit.cli.conftest import Unheard
from tests.unit.targets.lio.states import CREDENTIALS, HOSTS, PORTALS

A, B, _ = HOSTS


class Group:
    """A volume group in which some volumes cannot be activated."""

    folder = Path("/dev/cinder-volumes")
    lock = ""

    def __init__(self, *broken):
        self._broken = broken

    def activate(self, name):
        if name in self._broken:
            raise OSError(f"{name} is broken")


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "records")


@pytest.fixture
def restore(cinder):
    """Return a function that restores in a process of its own, and what it said."""

    def run(records, *groups, target):
        said: list[str] = []
        own = coordination.Coordinator(prefix="cinder-")
        backends = [
            Backend("lvm", None, group, lambda: target, records) for group in groups
        ]
        restored = Restore(said.append, own).run(records, backends)
        return restored, "\n".join(said)

    return run


def _export(name, group="cinder-volumes"):
    return Export(
        f"iqn.2010-10.org.openstack:{name}",
        f"/dev/{group}/{name}",
        "serial",
        frozenset(PORTALS[:1]),
        frozenset({Grant(A, CREDENTIALS[A], Mode.RO)}),
    )


def test_recorded_exports_are_there_again(records, restore):
    target = MemoryTarget()
    records.save("1", Record(_export("volume-1")))
    cut_off = {B: new_credentials()}
    kept = Ledger(ended={("attachment", None): 1.0}).keep(cut_off, {})
    assert kept.kept
    records.save("2", Record(ledger=kept))
    well, said = restore(records, Group(), target=target)
    assert well
    assert target.names("") == {"iqn.2010-10.org.openstack:volume-1"}
    assert f"volume 1 is exported again to {A}" in said
    assert "1 of 1 volumes recorded in " in said  # the resource agent looks for it
    again, said = restore(records, Group(), target=target)
    assert again
    assert "exported again" not in said


def test_one_volume_that_fails_does_not_keep_others_away(records, restore):
    target = MemoryTarget()
    for name in ("volume-1", "volume-2", "volume-3"):
        records.save(name, Record(_export(name)))
    well, said = restore(records, Group("volume-2"), target=target)
    assert not well
    assert len(target.names("")) == 2
    assert "volume volume-2 is not exported: OSError: volume-2 is broken" in said


def test_record_that_cannot_be_read_is_a_failure(records, restore):
    records.save("1", Record())
    (records.folder / "1.json").write_text("")
    well, said = restore(records, Group(), target=MemoryTarget())
    assert not well
    assert "1.json of volume 1 cannot be used" in said


def test_other_volume_groups_are_left_alone(records, restore):
    target = MemoryTarget()
    records.save("1", Record(_export("volume-1", group="another")))
    assert restore(records, Group(), target=target)[0]
    assert target.names("") == frozenset()


def _about(**changed):
    own = {"volume": "1", "backend": f"{cfg.CONF.host}@lvm"}
    return About(**own | changed)


def test_record_that_says_what_it_is_about_is_restored(records, restore):
    target = MemoryTarget()
    records.save("1", Record(_export("volume-1"), about=_about()))
    assert restore(records, Group(), target=target)[0]
    assert len(target.names("")) == 1


@pytest.mark.parametrize(
    ("file", "about"),
    [
        ("1", {"node": "another", "machine": "another"}),
        ("1", {"backend": "renamed@lvm"}),
        ("2", {}),
    ],
)
def test_record_of_something_else_is_told_and_not_exported(
    records, restore, file, about
):
    target = MemoryTarget()
    records.save(file, Record(_export("volume-1"), about=_about(**about)))
    well, said = restore(records, Group(), target=target)
    assert not well
    assert target.names("") == frozenset()
    assert f"volume {file} is not exported: its record" in said


def test_node_that_never_exported_has_nothing_to_restore(records, restore):
    well, said = restore(records, Group(), target=MemoryTarget())
    assert well
    assert "0 of 0" in said


def test_exports_come_back_without_the_coordination_back_end(
    cinder, records, restore, log
):
    url = "mysql://user:password@127.0.0.1:1/db"
    cinder.set_override("backend_url", url, "coordination")
    try:
        target = MemoryTarget()
        records.save("1", Record(_export("volume-1")))
        assert restore(records, Group(), target=target)[0]
        assert len(target.names("")) == 1
        assert "must not run" in log.text
    finally:
        cinder.clear_override("backend_url", "coordination")


def test_another_users_records_are_not_touched(run, back_end, monkeypatch):
    own = back_end()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    status, said = run(own)
    assert status == 2
    assert "runuser -u" in said
    assert own.target.names("") == frozenset()


@pytest.mark.parametrize("told", ["go\n", "end\n", ""])
def test_it_gets_ready_everywhere_and_begins_when_it_is_told(
    run, back_end, monkeypatch, told
):
    own, got_ready = back_end(), []
    of_targets = target_faults.of_targets

    def look(configuration, node):
        got_ready.append(configuration)
        return of_targets(configuration, node)

    monkeypatch.setattr(target_faults, "of_targets", look)
    read, write = os.pipe()
    os.write(write, told.encode())
    os.close(write)
    with os.fdopen(read) as reading:
        status, said = run(own, arguments=["--when-told"], stdin=reading)
    assert got_ready
    if told == "go\n":
        assert status == 0
        assert own.target.names("") == {"iqn.2010-10.org.openstack:volume-1"}
    else:
        assert status == 2
        assert "Nothing was done" in said
        assert own.target.names("") == frozenset()


def test_back_end_with_wrong_options_does_not_keep_another_from_its_disks(
    records, cinder
):
    def no_target():
        raise LookupError("target_helper = tgtadm")

    class Other(Group):
        folder = Path("/dev/other")

    def backend(group, make_target):
        return Backend("lvm", None, group, make_target, records)

    target = MemoryTarget()
    said: list[str] = []
    records.save("1", Record(_export("volume-1")))
    records.save("2", Record(_export("volume-2", group="other")))
    backends = [backend(Other(), no_target), backend(Group(), lambda: target)]
    own = coordination.Coordinator(prefix="cinder-")
    assert not Restore(said.append, own).run(records, backends)
    assert target.names("") == {"iqn.2010-10.org.openstack:volume-1"}
    assert any("volume 2" in line and "tgtadm" in line for line in said)


@pytest.fixture
def run(cinder, configure, node, monkeypatch, command):
    """Return a function that runs the whole command for back ends; and what it said."""
    monkeypatch.setattr(restore_verb, "Node", lambda: node)
    # Not the process's, which it would stop at its end.
    own = coordination.Coordinator(prefix="cinder-")
    monkeypatch.setattr(restore_verb.Restore.__init__, "__defaults__", (own,))

    def run(*own, arguments=(), **more):
        done = command("restore", *arguments, found=own, **more)
        return done.status, done.out + done.complaints

    return run


@pytest.fixture
def back_end(configure, records):
    """Return a function that gives a back end over memory, with a volume to restore."""

    def back_end(**options):
        target = MemoryTarget()
        records.save("1", Record(_export("volume-1")))
        conf = configure(**options)
        group: Any = Group()
        return Backend(conf.config_group, conf, group, lambda: target, records)

    return back_end


def test_node_that_cannot_export_is_told_as_at_the_start_of_the_driver(
    run, back_end, node
):
    own = back_end()
    (node.proc / "mounts").write_text("")
    status, said = run(own)
    assert status == 2
    assert f"back end [{own.name}]: configfs is not mounted" in said
    assert "systemctl start sys-kernel-config.mount" in said
    assert own.target.names("") == frozenset()


def test_warning_keeps_no_host_from_its_disk(run, back_end, node):
    own = back_end()
    node.network.away = {"192.0.2.11"}
    status, said = run(own)
    assert status == 0
    assert "target_ip_address has 192.0.2.11, which is no address" in said
    assert len(own.target.names("")) == 1


def test_back_end_that_cannot_be_read_is_a_failure_and_keeps_no_other_away(
    run, back_end
):
    own = back_end()
    status, said = run(own, complaints=["back end [other]: a fault"])
    assert status == 1
    assert "back end [other]: a fault" in said
    assert len(own.target.names("")) == 1


def test_no_back_end_of_ours_is_a_failure(run):
    status, said = run()
    assert status == 2
    assert backends.DRIVER in said


def test_hosts_get_their_disks_back_though_nobody_listens(run, back_end, records):
    """As after a crash of systemd's journal, or with ``| head``."""
    own = back_end()
    records.save("2", Record(_export("volume-2")))
    status, _ = run(own, out=Unheard())
    assert status == 0
    assert len(own.target.names("")) == 2


def test_records_that_cannot_be_read_are_a_failure_and_keep_no_other_away(
    run, back_end, monkeypatch
):
    def sick(records):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    own = back_end()
    monkeypatch.setattr(Records, "volumes", sick)
    status, said = run(own)
    assert status == 2
    assert f"the records in {own.records.folder} cannot be read: Input/output" in said


@pytest.fixture
def shared(back_end, monkeypatch):
    """A back end whose group nodes share, with a record of a time before."""
    own = back_end()
    own.group.lock = "dlm"
    monkeypatch.setattr(
        group_faults,
        "of_volume_group",
        lambda options: iter([Problem("is away", "Go")]),
    )
    return own


def test_boot_leaves_a_group_alone_that_a_cluster_manager_starts(run, shared, back_end):
    local = back_end()
    status, said = run(shared, local)
    assert status == 0
    assert (
        f"[{shared.name}] is left alone: cinder-volumes is a volume group that" in said
    )
    assert shared.target.names("") == frozenset()
    assert len(local.target.names("")) == 1


def test_named_back_end_whose_group_is_not_here_is_not_restored(run, shared, back_end):
    status, said = run(shared, back_end(), arguments=("--backend", shared.name))
    assert status == 2
    assert f"back end [{shared.name}]: is away. Go" in said
    assert shared.target.names("") == frozenset()


def test_named_back_end_is_restored_without_lvm_where_its_state_volume_is(
    run, shared, back_end, mount_state_volume
):
    mount_state_volume()
    other = back_end()
    status, _ = run(shared, other, arguments=("--backend", shared.name))
    assert status == 0
    assert len(shared.target.names("")) == 1
    assert other.target.names("") == frozenset()


def test_copy_of_a_state_volumes_record_is_not_restored(run, back_end, records):
    own = back_end()
    elsewhere = {"node": "another", "machine": "another"}
    about = _about(backend=own.host, state_volume="LVM-group-volume", **elsewhere)
    records.save("1", Record(_export("volume-1"), about=about))
    status, said = run(own)
    assert status == 1
    assert "of the node another, and a copy of one on the state volume" in said
    assert own.target.names("") == frozenset()
