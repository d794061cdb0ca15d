# SPDX-License-Identifier: Apache-2.0
"""Runs ``taikun-cinder check`` as cinder-volume's user, on a node that can be broken.

Cinder's configuration, its rootwrap and its sudoers are those of an installation; the
database and the records are copies of those of the back end that runs in this node.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.guest import service_user
from lab.guest.volume_settings import BACKEND, DATABASE, RECORDS
from lab.services.cinder_conf import backend
from lab.services.files import write_settings
from lab.workdir import PROJECT
from taikun_cinder.checks import timex
from tests.lab.guest import plain_user

ETC = Path("/etc/cinder-of-a-check")
HOME = Path("/var/lib/cinder-of-a-check")
LOCKS, STATE, POLICIES = HOME / "locks", HOME / "records", ETC / "policy.d"
METRICS = HOME / "metrics"

_SUDOERS = Path("/etc/sudoers.d/cinder-of-a-check")
_RULE = (
    f"{service_user.USER} ALL=(root) NOPASSWD: {service_user.BIN}/cinder-rootwrap "
    f"{ETC}/rootwrap.conf *\n"
)
_FILTERS = "AvailabilityZoneFilter,CapacityFilter,CapabilitiesFilter"


def prepare() -> None:
    """Lay everything anew, with nothing wrong in it."""
    plain_user.prepare()
    for folder in (ETC, HOME):
        shutil.rmtree(folder, ignore_errors=True)
    ETC.mkdir()
    _write_settings()
    installed = Path(sys.prefix, "etc/cinder/rootwrap.d")
    shutil.copytree(installed, ETC / "rootwrap.d")
    POLICIES.mkdir()
    profile = "multiattach-controlled.yaml"
    shutil.copy(PROJECT / "etc/policy.d" / profile, POLICIES / profile)
    for file in filter(Path.is_file, ETC.rglob("*")):
        file.chmod(0o644)
    service_user.own(HOME, LOCKS, STATE, METRICS)
    for folder in (HOME, STATE):
        folder.chmod(0o700)
    _copy()
    _SUDOERS.write_text(_RULE)
    _SUDOERS.chmod(0o440)
    _synchronise()


def _write_settings() -> None:
    path = f"{service_user.BIN},/usr/sbin,/usr/bin,/sbin,/bin"
    rootwrap = {"filters_path": f"{ETC}/rootwrap.d", "exec_dirs": path}
    write_settings(ETC / "rootwrap.conf", {"DEFAULT": rootwrap})
    settings = {
        "DEFAULT": {
            "host": "storage",
            "state_path": str(HOME),
            "rootwrap_config": f"{ETC}/rootwrap.conf",
            "transport_url": "fake:/",
            # Its cinder-volume reports once, and what a test breaks takes its time.
            "service_down_time": "600",
            "enabled_backends": BACKEND,
            "scheduler_default_filters": f"{_FILTERS},TaikunMultiattachFilter",
        },
        "database": {"connection": f"sqlite:///{HOME}/cinder.sqlite"},
        "coordination": {"backend_url": f"file://{LOCKS}"},
        "oslo_concurrency": {"lock_path": str(LOCKS)},
        "oslo_policy": {"policy_dirs": str(POLICIES)},
        BACKEND: backend(
            BACKEND,
            taikun_state_path=str(STATE),
            taikun_metrics_folder=str(METRICS),
        ),
    }
    write_settings(ETC / "cinder.conf", settings)


def _copy() -> None:
    copies = [HOME / "cinder.sqlite"]
    shutil.copy(DATABASE, copies[0])
    if RECORDS.exists():
        for record in RECORDS.glob("*.json"):
            copies.append(STATE / record.name)
            shutil.copy(record, copies[-1])
    for copy in copies:
        shutil.chown(copy, service_user.USER, service_user.USER)
        copy.chmod(0o600)


def _synchronise() -> None:
    """Tell the kernel that somebody keeps its clock, as an NTP client does."""
    all_errors_and_status = 0x4 | 0x8 | 0x10
    timex.adjtimex(timex.Timex(modes=all_errors_and_status))


def check(settings: str = "", user: str = service_user.USER) -> dict[str, Any]:
    """Run the command; give its ``status``, its ``rows``, and what it complained of.

    Args:
        settings: a further configuration file's content.
        user: whom it runs as.
    """
    override = ETC / "override.conf"
    override.write_text(settings)
    command = ["runuser", "-u", user, "--", sys.executable, "-W", "ignore"]
    command += ["-m", "taikun_cinder.cli.main"]
    for path in (ETC / "cinder.conf", override):
        command += ["--config-file", str(path)]
    done = subprocess.run(
        [*command, "check", "-f", "json"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=service_user.environment(),
        timeout=280,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    return {
        "status": done.returncode,
        "rows": json.loads(done.stdout),
        "complaints": done.stderr,
    }


def check_without_sudo() -> dict[str, Any]:
    """Run it where sudo does not let the user become root."""
    with _without(_SUDOERS), _without(service_user.SUDOERS):
        return check()


def check_without_filters() -> dict[str, Any]:
    """Run it where rootwrap lets no command of LVM's through."""
    with _without(ETC / "rootwrap.d/volume.filters"):
        return check()


@contextlib.contextmanager
def _without(path: Path) -> Iterator[None]:
    # Neither sudo nor rootwrap reads what begins with a dot.
    away = path.with_name(f".{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def spoil() -> None:
    """Spoil what belongs to the service: a record, a lock, a policy, its rows."""
    record = min(STATE.glob("*.json"))
    record.write_text(record.read_text()[:-20])
    (LOCKS / "cinder-lioadm").touch(mode=0o600)
    (POLICIES / "zz.yaml").write_text('"volume:multiattach": "rule:admin_api"\n')
