# SPDX-License-Identifier: Apache-2.0
"""A node with back ends to be looked at, by one check after the other."""

import json
from pathlib import Path

import pytest

from taikun_cinder.checks import catalogue
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Outcome
from taikun_cinder.cli.backends import Backend
from taikun_cinder.records import Records
from taikun_cinder.volume_groups import Group
from tests.unit.memory import MemoryTarget

#: A node on which nothing is wrong with LVM.
GROUP = {
    "vg_name": "cinder-volumes",
    "vg_size": "107374182400",
    "vg_free": "53687091200",
    "vg_exported": "",
    "vg_missing_pv_count": "0",
    "vg_lock_type": "",
}
DEVICE = {
    "pv_name": "/dev/sdb",
    "pv_uuid": "AAAA",
    "vg_name": "cinder-volumes",
    "pv_missing": "",
    "pv_duplicate": "",
}
SETTINGS = {
    "scan_lvs": "0",
    "use_devicesfile": "0",
    "devicesfile": '"system.devices"',
    "filter": '["a|.*|"]',
    "global_filter": '["a|^/dev/sdb$|","r|.*|"]',
    "thin_pool_autoextend_threshold": "100",
}


@pytest.fixture
def backend(configure):
    """Return a function that gives a back end with some options."""

    def backend(**options):
        section = configure(**options)
        return Backend(
            section.config_group,
            section,
            Group(section.volume_group, lambda: None),
            MemoryTarget,
            Records(Path(section.taikun_state_path)),
        )

    return backend


@pytest.fixture
def found(node):
    """Return a function that gives what a check finds: outcomes, texts and cures."""

    def found(name, *backends, facts=None):
        (check,) = [check for check in catalogue.CHECKS if check.name == name]
        return [
            (finding.outcome, finding.found, finding.cure)
            for _, look in check.looks(facts or Facts(backends, node))
            for finding in look()
        ]

    return found


@pytest.fixture
def only(found):
    """Return a function that gives the one thing that a check finds."""

    def only(name, *backends, **named):
        (finding,) = found(name, *backends, **named)
        return finding

    return only


@pytest.fixture
def is_right(only):
    """Return a function that sees that a check finds nothing wrong; gives its words."""

    def is_right(name, *backends):
        outcome, text, cure = only(name, *backends)
        assert (outcome, cure) == (Outcome.OK, "")
        return text

    return is_right


class Commands:
    """Commands that a test puts before those of the machine."""

    def __init__(self, folder):
        self._folder = folder

    def put(self, name, script):
        """Put one there: a script of a shell."""
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def lvm(
        self,
        groups=(GROUP,),
        devices=(DEVICE,),
        volumes=(),
        devices_file=False,
        **settings,
    ):
        """Put LVM's commands there, with what they report."""
        self._report("vgs", "vg", groups)
        self._report("pvs", "pv", devices)
        if not devices_file:  # by which LVM ignores its filters
            self._filter("pvs")
        self._report("lvs", "lv", volumes)
        lines = [f"\t{key}={value}" for key, value in {**SETTINGS, **settings}.items()]
        said = "\n".join(["devices {", *lines, "}"])
        self.put("lvmconfig", f"cat <<'END'\n{said}\nEND")
        self.put("lvm", 'echo "  LVM version:     2.03.31(2) (2025-02-27)"')

    def _filter(self, name):
        """Let a command show nothing where a filter rejects all."""
        usual = self._folder / name
        usual.rename(self._folder / f"{name}.usual")
        none = json.dumps({"report": [{"pv": []}]})
        rejects = """*'global_filter=["r|.*|"]'*"""
        self.put(
            name,
            f"case \"$*\" in {rejects}) echo '{none}' ;; *) exec {usual}.usual ;; esac",
        )

    def _report(self, name, kind, rows):
        said = json.dumps({"report": [{kind: list(rows)}]})
        self.put(name, f"cat <<'END'\n{said}\nEND")


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Give the commands, with an LVM on which nothing is wrong."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    commands = Commands(folder)
    commands.put("sudo", 'shift 2; exec "$@"')
    commands.lvm()
    return commands


@pytest.fixture
def state_path(cinder):
    """Return a function that sets Cinder's state_path, for the test alone."""
    before = cinder.state_path
    yield lambda path: cinder.set_override("state_path", str(path))
    cinder.set_override("state_path", before)
