# SPDX-License-Identifier: Apache-2.0
"""The names of LIO's folders, read as the kernel reads them.

Whoever edits configfs by hand may write a number as 0x1 or 010, a TPG as xtpgt_3 and
an address with a scope, and the kernel takes it (target_fabric_make_lun() in
target_core_fabric_configfs.c, lio_target_tiqn_addtpg() and
lio_target_call_addnptotpg() in iscsi_target_configfs.c). A name that could be misread
must not make an export unreadable, nor be taken for another.
"""

import contextlib
import ipaddress
import re

_TPG = "tpgt_"
_LUN = "lun_"

_OCTAL = re.compile(r"0[0-7]+")


def lun(name: str) -> int | None:
    """Give the index of the LUN that a folder is; None if it is none."""
    return _number(name.removeprefix(_LUN)) if name.startswith(_LUN) else None


def tag(name: str) -> int | None:
    """Give the tag of the TPG that a folder is; None if it is none."""
    _, found, number = name.partition(_TPG)
    return _number(number) if found else None


def portal(name: str) -> tuple[str, int] | None:
    """Give address, in the shortest form, and port of a portal; None if it is none."""
    host, _, text = name.rpartition(":")
    port = _number(text)
    host = host.removeprefix("[").removesuffix("]")
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host):
        # The kernel reads 010 as ten here, and Python refuses it.
        host = ".".join(str(int(part)) for part in host.split("."))
    with contextlib.suppress(ValueError):
        if port is not None:
            return str(ipaddress.ip_address(host)), port
    return None


def is_plain(name: str, index: int) -> bool:
    """Say whether a LUN's folder has the one name by which it is found again."""
    return name == f"{_LUN}{index}"


def _number(text: str) -> int | None:
    """Read a number as kstrtoull() does with base 0."""
    text = text.removeprefix("+")
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"0|[1-9][0-9]*", text) else None
