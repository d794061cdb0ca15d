# SPDX-License-Identifier: Apache-2.0
"""The command shows who uses which volume, as Cinder and the kernel have it."""

import dataclasses
import uuid

import pytest
from oslo_db import exception as db_exception
from sqlalchemy.exc import ArgumentError

from taikun_cinder import database, locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import TargetBusy
from taikun_cinder.targets.inspection import Reservation
from taikun_cinder.targets.lio.steps import RemoveAcl, SetWriteProtect
from tests.unit.cli.conftest import backend_of, silent
from tests.unit.cloud import A, B, lose
from tests.unit.memory import name_of

SERVERS = [str(uuid.UUID(int=number)) for number in (1, 2)]


@pytest.fixture
def show(cloud, command):
    """Return a function that shows a volume, and what came of it."""

    def show(volume):
        done = command(
            "volume", "show", volume, "-f", "json", found=[backend_of(cloud)]
        )
        assert done.status == 0, done.complaints
        return done.json

    return show


def test_each_use_says_server_host_mode_and_session(cloud, show):
    volume = cloud.volume()
    cloud.attach(volume, A, "rw", server=SERVERS[0])
    reader = cloud.attach(volume, B, "ro", server=SERVERS[1])
    cloud.log_out(reader)
    cloud.reserve(volume, "rw")
    writer, other, reserved = show(volume)["uses"]
    assert writer["server"] == SERVERS[0]
    assert (writer["host"], writer["initiator"]) == (A["host"], A["initiator"])
    assert (writer["asked"], writer["enforced"], writer["disk"]) == ("rw", "rw", "main")
    assert (writer["logged_in"], writer["address"]) == (True, "192.0.2.200")
    assert writer["remark"] == ""
    assert (other["asked"], other["enforced"]) == ("ro", "ro")
    assert other["disk"] == "readers"
    assert (other["logged_in"], other["address"]) == (False, "")
    assert reserved["remark"].startswith("reserved")
    assert (reserved["enforced"], reserved["host"]) == ("none", "")


def test_a_disk_that_a_host_keeps_beside_its_rows_is_told(cloud, show):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    writer = cloud.attach(volume, A)
    cloud.attach(volume, B)
    cloud.reserve(volume)
    cloud.connect(volume, A, writer)
    cloud.watch(1)
    first, second, _ = show(volume)["uses"]
    assert (first["disk"], first["enforced"]) == ("readers", "ro")
    assert "keeps the main disk (rw), too" in first["remark"]
    assert second["remark"] == ""


def test_what_the_kernel_has_is_shown_and_not_what_it_should_have(cloud, show):
    volume = cloud.volume()
    cloud.attach(volume, A, "rw")
    cloud.attach(volume, B, "rw")
    name = name_of(cloud.load(volume))
    a, b = sorted(cloud.target.read(name).hosts)
    cloud.target.kernel.take(name, RemoveAcl(a))
    cloud.target.kernel.take(name, SetWriteProtect(b, True, 0))
    first, second = show(volume)["uses"]
    assert (first["enforced"], second["enforced"]) == ("none", "ro")
    assert "there is" in first["remark"]
    assert "there is" in second["remark"]
    differences = show(volume)["differences"]
    assert {one["initiator"] for one in differences} == {str(a), str(b)}
    assert all("somebody else than the driver" in one["cause"] for one in differences)


def test_host_without_an_attachment_is_shown_with_what_is_done_about_it(cloud, show):
    volume = cloud.volume()
    cloud.attach(volume, A)
    gone = cloud.attach(volume, B)
    cloud.reconcile()
    lose(gone)
    _, left = show(volume)["uses"]
    assert (left["attachment"], left["initiator"]) == ("", B["initiator"])
    assert left["host"] == B["host"]
    assert "holds back" in left["remark"]
    (difference,) = show(volume)["differences"]
    assert "no request told the driver" in difference["cause"]
    assert "reconcile --yes" in difference["reconcile"]
    assert gone.session.alive


def test_cinders_own_connection_is_told_from_a_servers(cloud, show):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    (use,) = show(volume)["uses"]
    assert (use["server"], use["attachment"]) == ("", "")
    assert use["remark"].startswith("Cinder itself")


def test_reservation_is_shown_with_its_holder_and_who_is_registered(cloud, show):
    volume = cloud.volume()
    cloud.attach(volume, A)
    holder, other = Initiator(A["initiator"]), Initiator(B["initiator"])
    cloud.target.kernel.reservations[name_of(cloud.load(volume))] = Reservation(
        "Write Exclusive Access", holder, frozenset({holder, other})
    )
    held, *registered = show(volume)["reservation"]
    assert held == {"kind": "Write Exclusive Access", "holder": str(holder)}
    assert registered == [{"registered": str(holder)}, {"registered": str(other)}]


@pytest.mark.parametrize("form", ["table", "json", "shell", "yaml", "value"])
def test_name_of_a_host_does_nothing_to_the_terminal(cloud, command, form):
    volume = cloud.volume()
    cloud.attach(volume, {**A, "host": "compute\x1b[2J\x1b]0;\x07\x9b1"})
    for arguments in ("show", volume), ("list", "--host", "compute"):
        if arguments[0] == "list" and form == "shell":
            continue
        done = command("volume", *arguments, "-f", form, found=[backend_of(cloud)])
        said = done.out + done.complaints
        assert said.replace("\n", "").isprintable()


def test_volume_is_shown_for_people_too(cloud, command):
    volume = cloud.volume()
    cloud.attach(volume, A)
    done = command("volume", "show", volume, found=[backend_of(cloud)])
    assert done.status == 0
    for word in volume, A["host"], "asked rw", "enforced rw", "192.0.2.11:3260":
        assert word in done.out
    assert "Lines" not in done.out


@pytest.mark.parametrize("secret", ["auth_password", "auth_username"])
@pytest.mark.parametrize("form", ["table", "json", "shell", "yaml"])
def test_no_secret_is_shown(cloud, command, secret, form):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.target.kernel.take(
        name_of(cloud.load(volume)), RemoveAcl(Initiator(A["initiator"]))
    )
    for arguments, status in (
        (("volume", "show", volume, "-f", form), 0),
        (("audit", "-f", "csv" if form == "shell" else form), 1),
    ):
        done = command(*arguments, found=[backend_of(cloud)])
        assert (done.status, done.complaints) == (status, "")
        assert A["initiator"] in done.out
        assert attached.information[secret] not in done.out + done.complaints


def test_no_password_of_the_database_is_shown(cloud, command, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)

    def read(*_query, **_values):
        url = "mysql+pymysql//cinder:secret@db/cinder"
        raise ArgumentError(f"Could not parse SQLAlchemy URL from string '{url}'")

    monkeypatch.setattr(database, "_read", read)
    for arguments in (
        ("volume", "list"),
        ("volume", "show", volume),
        ("fence", volume, A["host"]),
        ("fence", volume, A["host"], "--lift"),
        ("reconcile", "--yes"),
    ):
        done = command(*arguments, found=[backend_of(cloud)])
        assert "section [database]" in done.complaints
        assert "secret" not in done.out + done.complaints


def test_list_counts_by_the_kernel_and_by_cinder(cloud, command):
    shared, single = sorted((cloud.volume(), cloud.volume()))
    cloud.volume()  # which nobody has
    cloud.attach(shared, A, "rw")
    cloud.log_out(cloud.attach(shared, B, "ro"))
    cloud.attach(single, B)
    done = command("volume", "list", "-f", "json", found=[backend_of(cloud)])
    assert done.status == 0
    first, second = done.json
    assert (first["Volume"], second["Volume"]) == (shared, single)
    assert (first["Hosts"], first["Writing hosts"]) == (2, 1)
    assert (first["Logged in"], first["Attachments"]) == (1, 2)
    assert first["Differences"] == 0


@pytest.mark.parametrize("name", ["host", "initiator"])
def test_volumes_of_one_host_are_listed(cloud, command, name):
    own, other = cloud.volume(), cloud.volume()
    cloud.attach(own, A)
    cloud.attach(other, B)
    arguments = "volume", "list", "-f", "json", "--host", A[name].upper()
    done = command(*arguments, found=[backend_of(cloud)])
    assert [row["Volume"] for row in done.json] == [own]


@pytest.mark.parametrize("verb", [("volume", "list"), ("topology",)])
def test_host_that_uses_no_volume_is_told_with_those_of_a_like_name(
    cloud, command, verb
):
    cloud.attach(cloud.volume(), A)
    mistyped = A["host"] + "x"
    done = command(*verb, "--host", mistyped, found=[backend_of(cloud)])
    assert done.status == 0
    assert f"no host {mistyped} uses" in done.complaints
    assert f": {A['host']}" in done.complaints
    right = command(*verb, "--host", A["host"], found=[backend_of(cloud)])
    assert right.complaints == ""


def test_without_the_database_the_records_and_the_kernel_are_shown(
    cloud, command, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    down = _down(monkeypatch)
    done = command("volume", "show", volume, "-f", "json", found=[backend_of(cloud)])
    assert done.status == 0
    assert done.complaints.count("Cinder's database cannot be read") == 1
    assert "no route to it" in done.complaints
    (use,) = done.json["uses"]
    assert (use["host"], use["enforced"], use["attachment"]) == (A["host"], "rw", "")
    assert done.json["differences"] == []
    listed = command("volume", "list", "-f", "json", found=[backend_of(cloud)])
    (row,) = listed.json
    assert (row["Hosts"], row["Attachments"], row["Status"]) == (1, None, "unknown")
    assert listed.status == 1
    assert down


def test_export_without_a_record_is_shown_without_the_database_too(
    cloud, command, monkeypatch
):
    """As of the in-tree driver, or where the record was lost."""
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.record(volume).unlink()
    _down(monkeypatch)
    listed = command("volume", "list", "-f", "json", found=[backend_of(cloud)])
    (row,) = listed.json
    assert (row["Volume"], row["Hosts"]) == (volume, 1)
    shown = command("volume", "show", volume, "-f", "json", found=[backend_of(cloud)])
    (use,) = shown.json["uses"]
    assert use["enforced"] == "rw"


def test_database_that_says_nothing_is_one_that_is_down(cloud, command, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)
    monkeypatch.setattr("taikun_cinder.survey.DATABASE_PATIENCE", 0.1)
    for arguments in ("list",), ("show", volume):
        with silent(monkeypatch):
            done = command("volume", *arguments, found=[backend_of(cloud)])
        assert "has not answered" in done.complaints
        assert volume in done.out


def test_sick_disk_with_many_volumes_is_waited_for_once(cloud, command, monkeypatch):
    waited = []

    class Held:
        def acquire(self, blocking):
            waited.append(blocking)
            return False

    for _ in range(3):
        cloud.attach(cloud.volume(), A)
    with monkeypatch.context() as patch:
        patch.setattr("taikun_cinder.survey.locks.of_volume", lambda volume: Held())
        done = command("volume", "list", "-f", "json", found=[backend_of(cloud)])
    assert len(done.json) == 3
    assert sum(waited) < 6


def test_fence_that_waits_for_the_kernel_is_told_as_the_cause(cloud, command):
    volume = cloud.volume()
    cloud.attach(volume, A)
    backend = backend_of(cloud)
    backend.exports.fences.set(volume, Initiator(A["initiator"]))
    done = command("audit", "-f", "json", found=[backend])
    (row,) = (row for row in done.json if row["Initiator"])
    assert "an operator has fenced this host off" in row["Cause"]


def test_edit_by_hand_is_found_without_the_database_too(cloud, command, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)
    name = name_of(cloud.load(volume))
    cloud.target.kernel.take(name, RemoveAcl(Initiator(A["initiator"])))
    _down(monkeypatch)
    done = command("audit", "-f", "json", found=[backend_of(cloud)])
    assert done.status == 1
    (row,) = done.json
    assert row["Initiator"] == A["initiator"]
    assert "until the database can be read" in row["Reconcile"]


def _down(monkeypatch):
    asked = []

    def read(*_query, **_values):
        asked.append(True)
        raise db_exception.DBConnectionError(OSError("no route\nto it"))

    monkeypatch.setattr(database, "_read", read)
    return asked


def test_volume_with_an_operation_that_hangs_is_shown_all_the_same(
    cloud, show, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    monkeypatch.setattr("taikun_cinder.survey._PATIENCE", 0.1)
    with locks.of_volume(cloud.load(volume)):
        shown = show(volume)
    assert shown["under way"] == "an operation"
    assert len(shown["uses"]) == 1
    assert show(volume)["under way"] == "nothing"


@pytest.mark.parametrize("by", ["id", "target", "logical volume"])
def test_volume_is_found_by_each_of_its_names(cloud, show, by):
    volume = cloud.volume()
    cloud.attach(volume, A)
    loaded = cloud.load(volume)
    name = {"id": volume, "target": name_of(loaded), "logical volume": loaded.name}[by]
    assert show(name)["id"] == volume


def test_volume_that_nobody_has_is_shown(cloud, show):
    volume = cloud.volume()
    assert show(volume)["uses"] == []
    assert show(volume)["device"] == "-"


def test_unknown_volume_is_told_with_where_to_look(cloud, command):
    done = command("volume", "show", "nothing", found=[backend_of(cloud)])
    assert done.status == 2
    assert "there is no volume nothing" in done.complaints
    assert "os-vol-host-attr:host" in done.complaints


def test_volume_that_cannot_be_looked_at_is_not_called_unknown(
    cloud, command, monkeypatch
):
    def busy(name, *_more, **_other):
        raise TargetBusy(target=name, cause="the disk hangs")

    volume = cloud.volume()
    cloud.attach(volume, A)
    monkeypatch.setattr(cloud.target, "findings", busy)
    done = command("volume", "show", volume, found=[backend_of(cloud)])
    assert done.status == 2
    assert f"volume {volume} cannot be looked at: " in done.complaints
    assert "was not found" not in done.complaints


def test_nothing_is_changed_by_looking(cloud, command):
    volume = cloud.volume()
    cloud.attach(volume, A)
    gone = cloud.attach(volume, B)
    cloud.forget(volume, gone)
    before = cloud.target.kernel.read(name_of(cloud.load(volume)))
    stored = cloud.record(volume).read_bytes()
    backend = dataclasses.replace(backend_of(cloud))
    for arguments in ("volume", "list"), ("volume", "show", volume), ("audit",):
        command(*arguments, found=[backend])
    assert cloud.target.kernel.read(name_of(cloud.load(volume))) == before
    assert cloud.record(volume).read_bytes() == stored
