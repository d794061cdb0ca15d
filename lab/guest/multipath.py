# SPDX-License-Identifier: Apache-2.0
"""The multipath daemon of a compute node."""

from pathlib import Path

from lab.guest.system import run
from lab.plan import NodePlan

# A disk becomes a multipath device when os-brick asks for it, or when it has a second
# path, so volumes that are connected without multipath stay what they are. Paths are
# looked at every second or two, so that no test waits long for one to come back.
_CONF = """\
defaults {
    user_friendly_names no
    find_multipaths yes
    polling_interval 1
    max_polling_interval 2
}
"""


def start_multipathd(plan: NodePlan) -> None:
    """Start multipathd on a node that is a host of volumes."""
    if plan.disk:
        return
    Path("/etc/multipath.conf").write_text(_CONF)
    run("multipathd")
