# SPDX-License-Identifier: Apache-2.0
"""Tells what an operator wants to see of one volume's target; changes nothing."""

import re
from typing import Any

from taikun_cinder.privsep import backstores, files, state

#: As lio_target_nacl_info_show() in iscsi_target_configfs.c prints each connection.
_ADDRESS = re.compile(r"^\s*Address (\S+) ", re.MULTILINE)

#: As target_pr_res_holder_show() in target_core_configfs.c prints the reservation.
_HOLDER = re.compile(r"SPC-[23] Reservation: \S+ Initiator: ([^\s,]+)")

#: As target_pr_res_pr_type_show() prints its kind.
_KIND = re.compile(r"SPC-3 Reservation Type: (.+)")

#: As target_pr_res_pr_registered_i_pts_show() prints each registration.
_REGISTERED = re.compile(r"^\s*\S+ Node: ([^\s,]+)", re.MULTILINE)


def read(target: str) -> dict[str, Any]:
    """Read the details of one volume, see ``lio.inspect``."""
    tpg = f"{backstores.ISCSI}/{target}/tpgt_1"
    acls = f"{tpg}/acls"
    found = {name: _address(f"{acls}/{name}") for name in files.entries(acls)}
    return {
        "portals": list(state.portals(f"{tpg}/np").values()),
        "addresses": {name: address for name, address in found.items() if address},
        "reservation": _reservation(backstores.find(target, search=False)),
    }


def _address(acl: str) -> str:
    return ", ".join(_ADDRESS.findall(files.get(f"{acl}/info") or ""))


def _reservation(folder: str | None) -> dict[str, Any]:
    if folder is None:
        return {"kind": "", "holder": None, "registered": []}
    holder = _HOLDER.search(files.get(f"{folder}/pr/res_holder") or "")
    kind = _KIND.search(files.get(f"{folder}/pr/res_pr_type") or "")
    registered = files.get(f"{folder}/pr/res_pr_registered_i_pts") or ""
    return {
        "kind": "" if holder is None else kind.group(1) if kind else "SPC-2",
        "holder": holder.group(1) if holder else None,
        "registered": _REGISTERED.findall(registered),
    }
