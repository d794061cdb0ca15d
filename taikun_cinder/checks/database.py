# SPDX-License-Identifier: Apache-2.0
"""The checks of Cinder's database, and of what it says of this node's services."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from cinder.db import migration
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_utils import timeutils

from taikun_cinder import database
from taikun_cinder.checks.check import BackendCheck, NodeCheck
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Finding, failed, ok, warning
from taikun_cinder.cli.backends import Backend

#: By how much a report may be in the future, in seconds: the clocks of two nodes.
_FUTURE = 5


def _reachable(facts: Facts) -> Iterator[Finding]:
    try:
        there = facts.database.first()
    except Exception as error:
        # Other texts can have the password in them.
        said = getattr(_cause(error), "orig", None) or type(error).__name__
        yield failed(
            f"The database does not answer: {' '.join(str(said).split())}",
            "See that connection in section [database] of cinder.conf is right, and "
            "that its server answers this node. Attached hosts go on meanwhile; no "
            "attach and no detach does.",
        )
        return
    yield ok(f"{there.server} answers, after {there.round_trip * 1000:.0f} ms")


def _cause(error: BaseException) -> BaseException:
    """Give the error that others were made of."""
    while not hasattr(error, "orig"):
        inner = getattr(error, "inner_exception", None) or error.__cause__
        if inner is None:
            return error
        error = inner
    return error


def _schema(facts: Facts) -> Iterator[Finding]:
    revision = facts.database.get().revision
    scripts = ScriptDirectory(str(Path(migration.__file__).with_name("migrations")))
    head = scripts.get_current_head()
    if revision == head:
        yield ok(f"The schema is that of the installed Cinder ({head})")
        return
    try:
        known = revision is not None and scripts.get_revision(revision) is not None
    except CommandError:
        known = False
    if revision is None or known:
        yield failed(
            f"The schema is {'older than' if known else 'not there for'} the installed "
            f"Cinder ({revision or 'none'}, and not {head})",
            "Run cinder-manage db sync, as the release's upgrade notes say.",
        )
    else:
        yield warning(
            f"The schema ({revision}) is not known to the installed Cinder ({head}): a "
            "newer one made it",
            "Finish the upgrade: install the same release on this node.",
        )


def _service(facts: Facts, backend: Backend) -> Iterator[Finding]:
    facts.database.get()
    try:
        service = database.service(backend.host)
    except db_exception.DBError:
        raise Unanswered("schema") from None
    if service is None:
        yield warning(
            f"The database has no cinder-volume of {backend.host}: it never started "
            "by this name, or this is not its database. No reconcile goes by it",
            "Start cinder-volume. If it ran before, see that host, backend_host and "
            "the section's name are as before, and that connection in section "
            "[database] is that of cinder-api.",
        )
        return
    found = [*_switches(service, backend.host), *_liveness(service, backend.host)]
    yield from found or [ok(f"cinder-volume of {backend.host} is up")]


def _switches(service: Any, host: str) -> Iterator[Finding]:
    if service.disabled:
        why = f" ({service.disabled_reason})" if service.disabled_reason else ""
        yield warning(
            f"cinder-volume of {host} is disabled{why}: no new volume is put here",
            f"openstack volume service set --enable {host} cinder-volume",
        )
    if service.frozen:
        yield warning(
            f"cinder-volume of {host} is frozen: no volume here is made or deleted",
            f"cinder thaw-host {host}",
        )


def _liveness(service: Any, host: str) -> Iterator[Finding]:
    limit = cfg.CONF.service_down_time
    last = service.updated_at or service.created_at
    age = (timeutils.utcnow(with_timezone=True) - last).total_seconds()
    if age > limit:
        yield warning(
            f"Cinder takes cinder-volume of {host} for down: it last reported "
            f"{age:.0f} s ago, and service_down_time is {limit} s",
            "Start it, or see its log. If it runs, look at its connection to the "
            "database.",
        )
    elif age < -_FUTURE:
        yield warning(
            f"cinder-volume of {host} last reported {-age:.0f} s in the future: "
            "another node's clock wrote that, or this node's was set back",
            "Synchronise the clocks (see the check clock), and see that no other node "
            "has the same host or backend_host.",
        )


CHECKS = (
    NodeCheck(
        "database",
        "Cinder's database answers.",
        _reachable,
        seconds=40,
        late="See that the server that connection in section [database] names answers "
        "this node.",
    ),
    NodeCheck(
        "schema", "Its schema is that of the installed Cinder.", _schema, seconds=30
    ),
    BackendCheck(
        "service",
        "Cinder takes the back end's ``cinder-volume`` for up, and it is neither "
        "disabled nor frozen.",
        _service,
        seconds=30,
    ),
)
