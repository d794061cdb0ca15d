# SPDX-License-Identifier: Apache-2.0
"""The database, its schema, and what it says of this node's services."""

import datetime

import pymysql
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from cinder import context, objects
from cinder.db import migration
from oslo_db import exception as db_exception
from oslo_utils import timeutils

from taikun_cinder import database
from taikun_cinder.checks.database_report import Database
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Outcome


@pytest.fixture
def says(node, monkeypatch):
    """Return a function that gives facts of which the database says something."""

    def says(*backends, **said):
        usual = {"server": "mysql 10.11", "round_trip": 0.01, "ahead": 0.1}
        there = Database(**{**usual, "revision": _head(), **said})
        monkeypatch.setattr(Database, "asked", classmethod(lambda cls: there))
        return Facts(backends, node)

    return says


def _scripts():
    folder = migration.__file__.replace("migration.py", "migrations")
    return ScriptDirectory(folder)


def _head():
    return _scripts().get_current_head()


@pytest.fixture
def fails(node, monkeypatch):
    """Return a function that gives facts without a database."""

    def fails(error, *backends):
        def asked(cls):
            raise error

        monkeypatch.setattr(Database, "asked", classmethod(asked))
        return Facts(backends, node)

    return fails


def test_database_that_answers_is_right(is_right, cinder):
    assert is_right("database").startswith("sqlite 3")


def test_database_that_is_down_is_told_in_its_own_words(only, fails):
    cause = pymysql.err.OperationalError(2003, "Can't connect to\n'192.0.2.1'")
    wrapped = sqlalchemy.exc.OperationalError("SELECT 1", {}, cause)
    outcome, text, cure = only(
        "database", facts=fails(db_exception.DBConnectionError(wrapped))
    )
    assert outcome is Outcome.FAILED
    assert "Can't connect to" in text
    assert "connection in section [database]" in cure


def test_url_that_is_wrong_is_told_without_its_password(only, fails):
    error = sqlalchemy.exc.ArgumentError("not an URL: mysql://cinder:secret@x:y")
    outcome, text, cure = only("database", facts=fails(error))
    assert outcome is Outcome.FAILED
    assert "ArgumentError" in text
    assert "secret" not in text + cure


def test_without_a_database_the_rest_is_not_asked(only, fails, backend):
    facts = fails(OSError("down"), backend())
    assert only("database", facts=facts)[0] is Outcome.FAILED
    for name in ("schema", "service"):
        with pytest.raises(Exception, match="database"):
            only(name, facts=facts)
    assert only("clock", facts=facts)[0] in (Outcome.OK, Outcome.WARNING)


def test_schema_of_the_installed_release_is_right(only, says):
    assert only("schema", facts=says())[0] is Outcome.OK


@pytest.mark.parametrize("kind", ["older", "none"])
def test_schema_that_is_too_old_is_told(only, says, kind):
    older = [script.revision for script in _scripts().walk_revisions()][-1]
    facts = says(revision=older if kind == "older" else None)
    outcome, text, cure = only("schema", facts=facts)
    assert outcome is Outcome.FAILED
    assert _head() in text
    assert "cinder-manage db sync" in cure


def test_schema_that_is_newer_is_told(only, says):
    outcome, text, _ = only("schema", facts=says(revision="0123456789ab"))
    assert outcome is Outcome.WARNING
    assert "a newer one made it" in text


@pytest.fixture
def service(cinder, backend):
    """Return a function that gives a back end whose service reported lately."""

    def service(ago=10.0, **values):
        one = backend()
        admin = context.get_admin_context()
        row = objects.Service(
            admin,
            host=one.host,
            binary="cinder-volume",
            topic="cinder-volume",
            report_count=0,
            disabled=values.pop("disabled", False),
            **values,
        )
        row.create()
        row.updated_at = timeutils.utcnow() - datetime.timedelta(seconds=ago)
        row.save()
        return one

    return service


def test_service_that_reports_is_right(is_right, service):
    assert is_right("service", service()).endswith("is up")


def test_service_that_never_was_is_told(only, backend):
    one = backend()
    outcome, text, cure = only("service", one)
    assert outcome is Outcome.WARNING
    assert f"no cinder-volume of {one.host}" in text
    assert "backend_host" in cure


def test_service_is_not_asked_for_where_there_is_no_schema(only, backend, monkeypatch):
    def fail(*_arguments):
        raise db_exception.DBNonExistentTable("services")

    monkeypatch.setattr(database, "service", fail)
    with pytest.raises(Unanswered, match="schema"):
        only("service", backend())


def test_service_that_is_down_is_told(only, service):
    outcome, text, _ = only("service", service(ago=600))
    assert outcome is Outcome.WARNING
    assert "it last reported 600 s ago, and service_down_time is 60 s" in text


def test_service_that_reports_from_the_future_is_told(only, service):
    outcome, text, cure = only("service", service(ago=-100))
    assert outcome is Outcome.WARNING
    assert "in the future" in text
    assert "clock" in cure


def test_service_that_is_turned_off_is_told_with_the_reason(found, service):
    one = service(disabled=True, disabled_reason="new disks", frozen=True)
    first, second = found("service", one)
    assert "is disabled (new disks)" in first[1]
    assert f"--enable {one.host} cinder-volume" in first[2]
    assert "is frozen" in second[1]
    assert second[2] == f"cinder thaw-host {one.host}"
