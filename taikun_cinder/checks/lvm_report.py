# SPDX-License-Identifier: Apache-2.0
"""What LVM says, asked in the way that Cinder asks it."""

import functools
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cinder import utils
from oslo_concurrency import processutils

from taikun_cinder.checks import commands

#: A row of a report: each field as a text.
Row = dict[str, str]

_GROUP = "vg_name,vg_size,vg_free,vg_exported,vg_missing_pv_count,vg_lock_type"
_DEVICE = "pv_name,pv_uuid,vg_name,pv_missing,pv_duplicate"
_VOLUME = (
    "lv_name,lv_path,lv_layout,lv_active,lv_suspended,data_percent,"
    "metadata_percent,lv_health_status,seg_monitor"
)

_SETTING = re.compile(r"^\s*(\w+)\s*=\s*(.*)$", re.MULTILINE)

#: How reports are to be, whatever section report of lvm.conf says. With some of its
#: settings, "no" is "0", which is no empty text, or empty fields are left out.
_REPORT = (
    "report/binary_values_as_numeric=0 report/compact_output=0 "
    'report/compact_output_cols="" report/list_item_separator=","'
)

#: Hints are what LVM found last, and are kept for others.
_NO_DEVICE = 'devices/global_filter=["r|.*|"] devices/hints="none"'

#: One pattern of a filter, as lvmconfig writes it.
_PATTERN = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Lvm:
    """What LVM says of the groups and devices of this node, as Cinder asks for it.

    Args:
        options: of the back end that it is asked for.

    Attributes:
        groups: a row for each volume group, by its name.
        devices: a row for each physical volume.

    Raises:
        ProcessExecutionError: LVM failed.
        OSError: it could not be run.
    """

    def __init__(self, options: Any) -> None:
        self._options = options
        self._prefix = _prefix(options)
        rows = self._rows("vgs", "vg", "-o", _GROUP)
        self.groups = {row["vg_name"]: row for row in rows}
        # With -a also what LVM sees and is no physical volume, among it duplicates.
        self.devices = self._rows("pvs", "pv", "-a", "-o", _DEVICE)

    @functools.cached_property
    def volumes(self) -> list[Row]:
        """A row for each logical volume of the back end's group, also inner ones."""
        rows = self._rows("lvs", "lv", "-a", "-o", _VOLUME, self._options.volume_group)
        # One with several segments has a row for each.
        return list({row["lv_name"]: row for row in rows}.values())

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """LVM's settings, with the defaults, as lvmconfig writes them."""
        said = commands.said(*self._prefix, "lvmconfig", "--typeconfig", "full")
        return dict(_SETTING.findall(said))

    @functools.cached_property
    def version(self) -> str:
        """LVM's version."""
        said = commands.said(*self._prefix, "lvm", "version")
        found = re.search(r"LVM version:\s+([\d.]+)", said)
        return found[1] if found else "unknown"

    @functools.cached_property
    def devices_file(self) -> str | None:
        """The name of the devices file that LVM goes by; None if there is none.

        Its folder is root's. But where there is one, LVM ignores filters, so it shows
        devices though a filter rejects all.
        """
        if self.settings.get("use_devicesfile") != "1":
            return None
        shown = self._rows("pvs", "pv", "-o", "pv_name", settings=_NO_DEVICE)
        return self.settings.get("devicesfile", "").strip('"') if shown else None

    def patterns(self, name: str) -> list[str]:
        """Give the patterns of ``filter`` or ``global_filter``."""
        return _PATTERN.findall(self.settings.get(name, ""))

    def nodes_own_groups(self) -> set[str]:
        """Name the groups that LVM shows by the node's configuration.

        Cinder runs some commands by that one, such as lvchange and lvremove.
        """
        # The same variables, since rootwrap's filters name them all.
        return {row["vg_name"] for row in _rows(_PLAIN, "vgs", "vg", "-o", "vg_name")}

    @property
    def is_of_cinders_own(self) -> bool:
        """Whether Cinder asks by an lvm.conf that the node's own LVM does not read."""
        return _system_folder(self._options) is not None

    def _rows(
        self, command: str, kind: str, *arguments: str, settings: str = ""
    ) -> list[Row]:
        return _rows(self._prefix, command, kind, *arguments, settings=settings)


_PLAIN = ("env", "LC_ALL=C")


def _prefix(options: Any) -> tuple[str, ...]:
    """Give what Cinder's LVM commands begin with (cinder.brick.local_dev.lvm.LVM)."""
    prefix = list(_PLAIN)
    if folder := _system_folder(options):
        prefix.append(f"LVM_SYSTEM_DIR={folder}")
    if options.lvm_suppress_fd_warnings:
        prefix.append("LVM_SUPPRESS_FD_WARNINGS=1")
    return tuple(prefix)


def _system_folder(options: Any) -> str | None:
    """Give the folder of an lvm.conf of Cinder's own, if there is one."""
    conf = options.lvm_conf_file
    there = conf and conf.lower() != "none" and Path(conf).is_file()
    return os.path.dirname(conf) if there else None


def _rows(
    prefix: Sequence[str],
    command: str,
    kind: str,
    *arguments: str,
    settings: str = "",
) -> list[Row]:
    said, _ = processutils.execute(
        *(*prefix, command, "--reportformat", "json", "--units", "b", "--nosuffix"),
        *("--config", f"{_REPORT} {settings}"),
        *arguments,
        run_as_root=True,
        root_helper=utils.get_root_helper(),
        # sudo must not ask for a password at the operator's terminal.
        preexec_fn=os.setsid,
    )
    reports: Iterable[dict[str, list[Row]]] = json.loads(said)["report"]
    return [row for report in reports for row in report[kind]]
