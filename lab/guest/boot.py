# SPDX-License-Identifier: Apache-2.0
"""Makes a freshly booted kernel the node that its ``node.json`` describes."""

import sys
from pathlib import Path

from lab.plan import NodePlan
from lab.workdir import INSIDE


def main(name: str) -> None:
    """Set the node up step by step and serve commands until the node goes down."""
    plan = NodePlan.load(INSIDE / "nodes" / name)
    if plan.patched:
        from lab.guest import patched  # noqa: PLC0415 - eventlet takes a second

        patched.patch()
    # What they import keeps what it finds, patched or not.
    from lab.guest import agent, disks, iscsi, multipath, system  # noqa: PLC0415

    for step in (
        system.name_the_node,
        system.load_modules,
        system.bring_up_network,
        system.start_udev,
        iscsi.start_initiator,
        multipath.start_multipathd,
        disks.bring_up_volume_groups,
    ):
        print(f"lab-boot: {step.__name__}", flush=True)
        step(plan)
    agent.serve(plan)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main(sys.argv[1])
