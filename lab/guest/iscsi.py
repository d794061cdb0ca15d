# SPDX-License-Identifier: Apache-2.0
"""The node's iSCSI initiator."""

from pathlib import Path

from lab.guest.system import run
from lab.plan import NodePlan

# The application sees an error this many seconds after its target went away. The
# default of 120 s would make every test of a lost target as long.
REPLACEMENT_TIMEOUT = 5


def start_initiator(plan: NodePlan) -> None:
    """Give the node its initiator name and start iscsid."""
    folder = Path("/etc/iscsi")
    (folder / "initiatorname.iscsi").write_text(f"InitiatorName={plan.initiator}\n")
    settings = {
        "node.startup": "manual",
        "node.session.timeo.replacement_timeout": REPLACEMENT_TIMEOUT,
        "node.conn[0].timeo.login_timeout": 15,
        "node.conn[0].timeo.noop_out_interval": 5,
        "node.conn[0].timeo.noop_out_timeout": 5,
        "node.session.initial_login_retry_max": 4,
    }
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    (folder / "iscsid.conf").write_text("".join(lines))
    Path("/run/lock/iscsi").mkdir(parents=True, exist_ok=True)
    run("iscsid")
