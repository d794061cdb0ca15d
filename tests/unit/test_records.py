# SPDX-License-Identifier: Apache-2.0
"""A record comes back as it was written, or is told to be lost."""

import contextlib
import dataclasses
import errno
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taikun_cinder.access.attachment import Connection, Disks
from taikun_cinder.access.ledger import Kept, Ledger
from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.exception import RecordNotWritten, RecordUnreadable
from taikun_cinder.records import Records
from taikun_cinder.volume_record import About, Record
from tests.unit.targets.lio.states import CREDENTIALS, HOSTS, PORTALS, exports

_times = st.floats(0, 1e9)
_grants = st.builds(
    lambda initiator, shown: Grant(initiator, CREDENTIALS[initiator], *shown),
    st.sampled_from(HOSTS),
    st.sampled_from([*((mode,) for mode in Mode), (None, True), (Mode.RW, True)]),
)
_hosts, _pairs = st.sampled_from(HOSTS), st.sampled_from([*CREDENTIALS.values()])
_machines = st.builds(Machine, st.text(), st.text(), st.uuids().map(str) | st.text())
_ledgers = st.builds(
    Ledger,
    st.lists(
        st.builds(
            Connection,
            st.text(),
            _grants,
            _times,
            st.booleans(),
            connector=st.text(),
            candidates=st.frozensets(st.text()),
            idle=st.booleans(),
        )
    ).map(tuple),
    st.dictionaries(st.tuples(st.text(), st.none() | st.text()), _times),
    st.dictionaries(_hosts, _pairs),
    st.dictionaries(_hosts, _machines),
    st.dictionaries(_hosts, st.builds(Kept, _pairs, _machines)),
    st.dictionaries(_hosts, _times),
    st.dictionaries(_hosts, st.frozensets(st.text())),
)
_records = st.builds(Record, st.none() | exports(), _ledgers)


@given(_records)
def test_record_comes_back_as_it_was_written(record):
    with tempfile.TemporaryDirectory() as folder:
        records = Records(Path(folder, "new", "folder"))
        records.save("1", Record())
        records.save("1", record)
        assert records.load("1") == record
        assert list(records.volumes()) == ["1"]
        records.forget("1")
        records.forget("1")
        assert records.load("1") is None
        assert list(records.volumes()) == []


def _disks_unsaid(plain):
    """The same record as an older version writes it, which knows one disk."""
    if isinstance(plain, list):
        return [_disks_unsaid(value) for value in plain]
    if not isinstance(plain, dict):
        return plain
    new = ("main_disk", "readers_disk", "discard")
    return {key: _disks_unsaid(value) for key, value in plain.items() if key not in new}


@given(_records)
def test_record_of_a_version_that_knows_one_disk_is_read_and_the_other_way_round(
    record,
):
    with tempfile.TemporaryDirectory() as folder:
        records, file = Records(Path(folder)), Path(folder, "1.json")
        records.save("1", record)
        older = _disks_unsaid(json.loads(file.read_text()))
        file.write_text(json.dumps(older))
        found = records.read("1")
        assert found is not None
        # A reader is one that must not write to it, for who knows the main disk only.
        held = found.export.grants if found.export else ()
        for grant in (*held, *(known.grant for known in found.ledger.connections)):
            assert (grant.mode, grant.readers_disk) in (
                (Mode.RW, False),
                (Mode.RO, False),
            )
        records.save("1", found)
        assert _disks_unsaid(json.loads(file.read_text())) == older


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"form": 2}', '{"form": 1, "export": {"target": "secret"}}'],
)
def test_file_that_is_no_record_is_named_and_not_quoted(tmp_path, log, content):
    (tmp_path / "1.json").write_text(content)
    assert Records(tmp_path).load("1") is None
    assert str(tmp_path / "1.json") in log.text
    assert "secret" not in log.text


def test_record_that_was_cut_off_by_a_power_failure_is_the_old_one(tmp_path):
    records = Records(tmp_path)
    old = Record(ledger=Ledger(ended={("attachment", None): 1.0}))
    records.save("1", old)
    (tmp_path / "1.new").write_text("{")
    assert records.load("1") == old
    assert list(records.volumes()) == ["1"]
    records.save("1", Record())
    assert records.load("1") == Record()


def test_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    records = Records(tmp_path)
    records.save("1", Record(ledger=Ledger(ended={("attachment", None): 1.0})))
    (tmp_path / "1.new").mkdir()
    with pytest.raises(RecordNotWritten, match=r"volume 1 .*taikun_state_path"):
        records.save("1", Record())
    assert records.load("1") != Record()


def test_clock_that_begins_anew_makes_nothing_older_than_it_is():
    connection = Connection(
        "mark", Grant(HOSTS[0], CREDENTIALS[HOSTS[0]], Mode.RW), 5000.0
    )
    ledger = Ledger((connection,), {("attachment", None): 5.0}).not_after(30.0)
    assert ledger.connections[0].since == 30.0
    assert ledger.ended == {("attachment", None): 5.0}


def test_newer_file_counts_more_than_what_could_not_be_written(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    ours, theirs = Records(tmp_path), Records(tmp_path)
    first, lost, newest = (
        Record(ledger=Ledger(ended={("attachment", None): since}))
        for since in (1.0, 2.0, 3.0)
    )
    ours.save("1", first)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        ours.keep({"id": "1", "name_id": "1"}, lost, promised=False)
    assert ours.load("1") == lost
    theirs.save("1", newest)
    assert ours.load("1") == newest


def _damaged(plain):
    """Give a record with each of its values replaced by one of another kind."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from ({**plain, key: other} for other in _damaged(value))
    elif isinstance(plain, list):
        for index, value in enumerate(plain):
            for other in _damaged(value):
                yield [*plain[:index], other, *plain[index + 1 :]]
    for other in (None, 7, "text", [7], {"text": 7}):
        if type(other) is not type(plain):
            yield other


def test_record_with_any_value_of_another_kind_is_read_or_told(tmp_path):
    host = HOSTS[0]
    grant = Grant(host, CREDENTIALS[host], Mode.RW)
    machine = Machine("a", "b", "c")
    record = Record(
        Export(
            "target", "/dev/vg/volume", "serial", frozenset(PORTALS), frozenset({grant})
        ),
        Ledger(
            (
                Connection(
                    "mark",
                    grant,
                    1.0,
                    server="server",
                    candidates=frozenset({"server"}),
                    rows=frozenset({"attachment"}),
                ),
            ),
            {("attachment", None): 1.0},
            {host: CREDENTIALS[host]},
            {host: machine},
            {host: Kept(CREDENTIALS[host], machine)},
            {host: 1.0},
            {host: frozenset({"attachment"})},
            {"attachment": Disks(host, Mode.RW, readers_disk=True)},
        ),
        About("1", "node@lvm", "node"),
    )
    records, file = Records(tmp_path), tmp_path / "1.json"
    records.save("1", record)
    whole = json.loads(file.read_text())
    for damaged in _damaged(whole):
        file.write_text(json.dumps(damaged))
        with contextlib.suppress(RecordUnreadable):
            found = records.read("1")
            assert found is not None
            records.save("1", found)
            found.ledger.expire([], (), 1000.0, 5.0, 5.0)
            found.ledger.not_after(30.0)
            _used(found)


def _used(record):
    """Do with each value what is done with it later, which must not fail then."""
    kept = [one.machine for one in record.ledger.kept.values()]
    for machine in (*record.ledger.machines.values(), *kept):
        assert machine.is_another(Machine("x", "y", "z")) in (True, False)
    for attachment, identity in record.ledger.ended:
        assert attachment.startswith("attachment")
        assert identity is None or identity.startswith(("text", "mark"))
    if record.export is not None:
        assert all(isinstance(one.port, int) for one in record.export.portals)
    if record.about is not None:
        assert all(isinstance(one, str) for one in dataclasses.astuple(record.about))


@pytest.mark.parametrize("time", ["NaN", "9" * 400], ids=["NaN", "huge"])
def test_time_that_is_no_number_of_seconds_is_no_record(tmp_path, time):
    records, file = Records(tmp_path), tmp_path / "1.json"
    records.save("1", Record(ledger=Ledger(ended={("attachment", None): 1.0})))
    file.write_text(file.read_text().replace("1.0", time))
    with pytest.raises(RecordUnreadable):
        records.read("1")


def test_prefixes_are_those_of_the_groups_recorded_targets(tmp_path):
    records = Records(tmp_path)
    for number, (prefix, group) in enumerate(
        [("iqn.2010-10.a.b:", "vg"), ("iqn.2011-11.a.b:", "vg"), ("iqn.c:", "other")]
    ):
        name = f"volume-{number}"
        export = Export(
            prefix + name, f"/dev/{group}/{name}", "", frozenset(), frozenset()
        )
        records.save(str(number), Record(export))
    export = Export("iqn.2012-12.a.b:volume-7", "/dev/vg/volume-7", "", frozenset())
    about = About("7", "node@lvm", node="another", machine="another's")
    records.save("7", Record(export, about=about))  # it was copied
    (tmp_path / "9.json").write_text("{")
    assert records.prefixes("vg") == {"iqn.2010-10.a.b:", "iqn.2011-11.a.b:"}
    assert Records(tmp_path / "9.json").prefixes("vg") == frozenset()


def test_owner_without_a_name_here_is_a_number(tmp_path):
    os.chown(tmp_path, 42407, 42407)  # a container's cinder, seen from its node
    assert Records(tmp_path).owner() == "42407"


def test_owner_is_told_to_a_user_who_may_not_even_look(tmp_path, monkeypatch):
    """As one of the group of cinder-volume, who can read cinder.conf."""
    os.chown(tmp_path, 42407, 42407)
    folder, real = tmp_path / "records", Path.stat

    def stat(path, **named):
        if path == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, **named)

    monkeypatch.setattr(Path, "stat", stat)
    assert Records(folder).owner() == "42407"
