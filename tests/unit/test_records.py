# SPDX-License-Identifier: Apache-2.0
"""A record comes back as it was written, or is told to be lost."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taikun_cinder.access.attachment import Connection
from taikun_cinder.access.ledger import Kept, Ledger
from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import Grant, Mode
from taikun_cinder.exception import RecordNotWritten
from taikun_cinder.records import Records
from taikun_cinder.volume_record import Record
from tests.unit.targets.lio.states import CREDENTIALS, HOSTS, exports

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
        )
    ).map(tuple),
    st.dictionaries(st.tuples(st.text(), st.none() | st.text()), _times),
    st.dictionaries(_hosts, _pairs),
    st.dictionaries(_hosts, _machines),
    st.dictionaries(_hosts, st.builds(Kept, _pairs, _machines)),
    st.dictionaries(_hosts, _times),
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
