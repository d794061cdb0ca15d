# SPDX-License-Identifier: Apache-2.0
"""Each check finds what it is for, says what to do, and changes nothing."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cinder import objects
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code
from sqlalchemy import exc

from taikun_cinder.cli import backends
from taikun_cinder.cli.backends import Backend
from taikun_cinder.records import Records
from taikun_cinder.status import attached, configuration, folders, policies
from taikun_cinder.status.checks import Checks
from taikun_cinder.status.found import Found
from taikun_cinder.targets.lio.steps import SetCredentials
from taikun_cinder.volume_groups import Group
from tests.unit.cli.conftest import silent
from tests.unit.cloud import A, B
from tests.unit.memory import name_of

FILTER = "TaikunMultiattachFilter"


@pytest.fixture
def conf(tmp_path):
    """Return a function that reads a text as cinder.conf."""

    def conf(text="", **more):
        file = tmp_path / "cinder.conf"
        file.write_text(text)
        read = cfg.ConfigOpts()
        read([], default_config_files=[str(file)], default_config_dirs=[])
        return read

    return conf


@pytest.fixture
def backend(cloud):
    """The back end of the cloud, as an operator's command sees it."""
    options = cloud.driver.configuration
    _, _, name = cloud.manager.host.partition("@")
    made = Backend(
        name,
        options,
        Group(options.volume_group, lambda: cloud.driver.vg),
        lambda: cloud.target,
        Records(Path(options.taikun_state_path)),
    )
    cfg.CONF.set_override("host", "node")
    yield made
    cfg.CONF.clear_override("host")
    for option in "max_retries", "retry_interval":
        cfg.CONF.clear_override(option, "database")


@pytest.fixture
def folder(tmp_path):
    """A folder of records that is a plain user's."""
    made = tmp_path / "records"
    made.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(made, 65534, 65534)
    return made


def _said(found):
    return found.result().details or ""


def test_the_worst_counts_and_comes_first():
    found = Found(notes=["n"]) + Found.warning("w.") + Found.failure("f")
    assert found.result().code == Code.FAILURE
    assert found.result().details == "f. w. n"
    assert (Found() + Found.warning("w")).result().code == Code.WARNING
    assert Found().result().code == Code.SUCCESS
    assert Found().result().details is None


def test_misspelt_option_is_told_with_what_may_be_meant(conf):
    read = conf("[lvm]\ntaikun_reconcile_intervall = 5\ntaikun_max_hosts = 2\n")
    found = configuration.unknown_options(read)
    (told,) = found.warnings
    for word in ("taikun_reconcile_intervall", "[lvm]", "taikun_reconcile_interval "):
        assert word in f"{told} "
    assert "cinder.conf" in told


def test_option_where_no_back_end_looks_is_told(conf):
    found = configuration.unknown_options(conf("[DEFAULT]\ntaikun_max_hosts = 2\n"))
    assert "[backend_defaults]" in _said(found)
    read = conf("[backend_defaults]\ntaikun_max_hosts = 2\n[lvm]\nvolume_group = x\n")
    assert configuration.unknown_options(read) == Found()


@pytest.mark.parametrize("filters", [["CapacityFilter"], []])
def test_missing_filter_is_told_with_the_options_that_need_it(filters):
    assert configuration.scheduler_filter(filters).result().code == Code.WARNING
    options = SimpleNamespace(
        taikun_multiattach_only=True, taikun_max_multiattach_volumes=0
    )
    (told,) = configuration.needs_filter("lvm", options, filters).warnings
    assert "taikun_multiattach_only" in told
    assert configuration.needs_filter("lvm", options, [FILTER]) == Found()


def test_filter_that_is_named_must_be_installed(monkeypatch):
    assert configuration.scheduler_filter([FILTER]) == Found()
    entry_points = "taikun_cinder.status.configuration.importlib.metadata.entry_points"
    monkeypatch.setattr(entry_points, lambda **_named: [])
    assert configuration.scheduler_filter([FILTER]).result().code == Code.FAILURE


def test_folder_of_a_plain_user_is_fine_and_one_that_is_not_there_is_not_made(
    folder, tmp_path
):
    assert folders.owner(folder) == Found()
    found = folders.owner(tmp_path / "nowhere")
    assert found.result().code == Code.SUCCESS
    assert not (tmp_path / "nowhere").exists()
    assert list(folder.iterdir()) == []


def test_folder_that_others_can_write_to_is_a_failure(folder):
    folder.chmod(0o777)
    assert folders.owner(folder).result().code == Code.FAILURE
    folder.chmod(0o755)
    assert folders.owner(folder).result().code == Code.WARNING


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_and_folders_of_other_users_are_told(folder):
    (folder / "1.json").touch()
    assert "belong to" in _said(folders.owner(folder))
    os.chown(folder, 0, 0)
    assert "belongs to root" in _said(folders.owner(folder))


def test_folder_that_depends_on_where_a_program_starts_is_a_failure():
    assert folders.owner(Path("records")).result().code == Code.FAILURE


def test_records_that_can_be_read_are_counted(cloud, backend):
    cloud.attach(cloud.volume(), A)
    found = folders.records(backend.records.folder)
    assert found.result().code == Code.SUCCESS
    assert "1 record(s)" in _said(found)


def test_records_that_cannot_be_read_are_told_without_what_is_in_them(cloud, backend):
    volume, other = cloud.volume(), cloud.volume()
    attached_host = cloud.attach(volume, A)
    newer = cloud.record(volume)
    newer.write_text(json.dumps(json.loads(newer.read_text()) | {"form": 2}))
    cloud.record(other).write_text('{"password": "secret"')
    found = folders.records(backend.records.folder)
    assert found.result().code == Code.FAILURE
    said = _said(found)
    assert f"{volume} cannot be used: it has the form 2, and this version" in said
    assert other in said
    for secret in ("secret", attached_host.information["auth_password"]):
        assert secret not in said


def test_records_of_another_node_are_told(cloud, backend):
    volume = cloud.volume()
    cloud.attach(volume, A)
    plain = json.loads(cloud.record(volume).read_text())
    plain["about"] |= {"node": "elsewhere", "machine": "another"}
    cloud.record(volume).write_text(json.dumps(plain))
    found = folders.records(backend.records.folder)
    assert found.result().code == Code.WARNING
    assert volume in _said(found)


def test_no_policy_file_means_that_members_may():
    found = policies.multiattach([])
    assert found.result().code == Code.SUCCESS
    assert "members may" in _said(found)


@pytest.mark.parametrize("call", ["read_text", "iterdir"])
def test_policies_that_this_user_may_not_read_are_no_failure(
    cinder, monkeypatch, tmp_path, call
):
    (tmp_path / "own.yaml").touch()

    def refuse(path, *_more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, call, refuse)
    before = cinder.oslo_policy.policy_dirs
    cinder.set_override("policy_dirs", [str(tmp_path)], "oslo_policy")
    try:
        result = Checks()._policies()
    finally:
        cinder.set_override("policy_dirs", before, "oslo_policy")
    assert result.code == Code.WARNING
    assert f"{tmp_path}" in str(result.details)
    assert "members may" not in str(result.details)


def _profiles(*names):
    shipped = Path(__file__).parents[3] / "etc" / "policy.d"
    return [shipped / f"multiattach-{name}.yaml" for name in names]


def test_profile_in_force_is_told():
    found = policies.multiattach(_profiles("closed"))
    assert found.result().code == Code.SUCCESS
    assert "volume:multiattach is '!'" in _said(found)


def test_two_profiles_that_differ_are_told():
    found = policies.multiattach(_profiles("closed", "open"))
    assert found.result().code == Code.WARNING
    assert "the last one counts" in _said(found)


def test_policy_file_that_cannot_be_read_is_a_failure(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    for file in (broken, tmp_path / "none.yaml"):
        assert policies.multiattach([file]).result().code == Code.FAILURE


def test_service_that_the_database_does_not_know_is_told(cloud, backend):
    assert attached.service(backend) == Found()
    cloud.service.destroy()
    found = attached.service(backend)
    assert found.result().code == Code.WARNING
    assert cloud.manager.host in _said(found)


def _without_pair(cloud, volume, one):
    """Let an attachment be as one that was made without CHAP, by another driver."""
    cloud.as_by_the_in_tree_driver(volume, one, "rw")
    row = objects.VolumeAttachment.get_by_id(cloud.context, one.id)
    information = {
        name: value
        for name, value in row.connection_info.items()
        if not name.startswith("auth_")
    }
    row.update({"connection_info": information})
    row.save()


def test_password_in_a_url_that_cannot_be_read_is_not_told(backend, monkeypatch):
    """As SQLAlchemy 2.0.38 says it, which Cinder 26 comes with."""

    def refuse(_host):
        raise exc.ArgumentError("Could not parse 'mysql//cinder:s3cr@db/cinder'")

    monkeypatch.setattr("taikun_cinder.database.knows_service", refuse)
    monkeypatch.setattr(backends, "enabled", lambda _kind, _complain: [backend])
    result = Checks()._database()
    assert result.code == Code.WARNING
    assert "no database's URL" in str(result.details)
    assert "s3cr" not in str(result.details)


def test_database_that_says_nothing_is_not_waited_for(backend, monkeypatch):
    monkeypatch.setattr("taikun_cinder.status.checks.DATABASE_PATIENCE", 0.1)
    monkeypatch.setattr(backends, "enabled", lambda _kind, _complain: [backend])
    with silent(monkeypatch):
        results = [Checks()._database(), Checks()._credentials()]
    for result in results:
        assert result.code == Code.WARNING
        assert "has not answered" in str(result.details)


def test_hosts_that_have_pairs_are_fine(cloud, backend):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.as_by_the_in_tree_driver(volume, cloud.attach(volume, B), "rw")
    cloud.reserve(cloud.volume())
    assert attached.credentials(backend) == Found()


def test_host_without_a_pair_is_a_failure_since_it_would_lose_its_disk(cloud, backend):
    volume, other = cloud.volume(), cloud.volume()
    lost, stays = cloud.attach(volume, A), cloud.attach(other, A)
    cloud.watch()
    _without_pair(cloud, volume, lost)
    found = attached.credentials(backend)
    assert found.result().code == Code.FAILURE
    assert f"volume {volume}, host {A['host']}" in _said(found)
    assert other not in _said(found)
    # It would indeed, where the target has no pair either.
    name = name_of(cloud.load(volume))
    (initiator,) = cloud.target.read(name).hosts
    no_pair: Any = None
    cloud.target.kernel.take(name, SetCredentials(initiator, no_pair))
    cloud.restart_driver()
    cloud.reconcile()
    assert not lost.session.alive
    assert stays.session.alive
