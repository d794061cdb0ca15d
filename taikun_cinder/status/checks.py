# SPDX-License-Identifier: Apache-2.0
"""The checks, in the order in which they are told. None of them changes anything."""

from collections.abc import Callable
from pathlib import Path

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from cinder.scheduler import host_manager  # noqa: E402, F401 - the filters' option
from oslo_config import cfg  # noqa: E402
from oslo_upgradecheck import upgradecheck  # noqa: E402
from oslo_upgradecheck.upgradecheck import Result  # noqa: E402

from taikun_cinder import database, option_faults, words  # noqa: E402
from taikun_cinder.cli import backends  # noqa: E402
from taikun_cinder.cli.backends import Backend  # noqa: E402
from taikun_cinder.status import (  # noqa: E402
    attached,
    configuration,
    folders,
    policies,
)
from taikun_cinder.status.found import Found  # noqa: E402
from taikun_cinder.survey import DATABASE_PATIENCE  # noqa: E402


def _of_each(check: Callable[[Backend], Found]) -> Found:
    """Put together what is found of each back end; a fault of one hides no other."""
    whole = Found()
    for backend in backends.enabled(Backend, lambda _fault: None):
        try:
            whole += check(backend)
        except Exception as error:
            whole += Found.warning(
                f"[{backend.name}] could not be checked: {words.of_error(error)}"
            )
    return whole


def _of_rows(check: Callable[[Backend], Found]) -> Found:
    """Do the same for what the database has, unless it says nothing at all."""
    database.give_up_soon()
    if database.answers(DATABASE_PATIENCE):
        return _of_each(check)
    return Found.warning(
        f"the database has not answered for {DATABASE_PATIENCE:.0f} s; see that the "
        "server that connection in [database] names answers this node"
    )


class Checks(upgradecheck.UpgradeCommands):
    """The checks before this version's services are started."""

    display_title = "taikun_cinder Upgrade Check Results"

    def _back_ends(self) -> Result:
        whole = Found()
        enabled = backends.enabled(Backend, whole.failures.append)
        names = [backend.name for backend in enabled]
        if not names and not whole.failures:
            whole += Found.warning(
                "no back end in enabled_backends has volume_driver = "
                f"{backends.DRIVER}; on a storage node there should be one"
            )
        whole += Found(notes=[f"of this driver: {', '.join(names)}"] if names else [])
        return (whole + _of_each(_options)).result()

    def _unknown_options(self) -> Result:
        return configuration.unknown_options(cfg.CONF).result()

    def _state_path(self) -> Result:
        return sum(map(folders.owner, _folders()), Found()).result()

    def _records(self) -> Result:
        return sum(map(folders.records, _folders()), Found()).result()

    def _scheduler_filter(self) -> Result:
        filters = cfg.CONF.scheduler_default_filters
        return (
            configuration.scheduler_filter(filters)
            + _of_each(
                lambda backend: configuration.needs_filter(
                    backend.name, backend.options, filters
                )
            )
        ).result()

    def _policies(self) -> Result:
        return policies.in_force(cfg.CONF).result()

    def _database(self) -> Result:
        return _of_rows(attached.service).result()

    def _credentials(self) -> Result:
        return _of_rows(attached.credentials).result()

    _upgrade_checks = (
        ("Back ends", _back_ends),
        ("Options without effect", _unknown_options),
        ("State path", _state_path),
        ("Records", _records),
        ("Scheduler filter", _scheduler_filter),
        ("Policies of multi-attach", _policies),
        ("Service in the database", _database),
        ("Credentials of attached hosts", _credentials),
    )


def _options(backend: Backend) -> Found:
    found = Found()
    for problem in option_faults.problems(backend.options):
        said = f"[{backend.name}] {problem.fault}. {problem.cure}"
        (found.warnings if problem.tolerable else found.failures).append(said)
    return found


def _folders() -> list[Path]:
    """List the folders of records of the back ends, each once."""
    found = backends.enabled(Backend, lambda _fault: None)
    return list(dict.fromkeys(backend.records.folder for backend in found))
