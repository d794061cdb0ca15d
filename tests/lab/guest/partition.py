# SPDX-License-Identifier: Apache-2.0
"""A host that is cut off from control, and still reaches the storage network."""

import subprocess

_CUT = "sleep 1; ip link set eth0 down; sleep {}; ip link set eth0 up"


def cut_off(seconds: int) -> None:
    """Take the node off the management network for a while, in a second from now.

    Nobody can reach it meanwhile, so the node ends the cut itself.
    """
    subprocess.Popen(["bash", "-c", _CUT.format(seconds)], start_new_session=True)
