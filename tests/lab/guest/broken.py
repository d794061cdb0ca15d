# SPDX-License-Identifier: Apache-2.0
"""Breaks one thing that an export stands on."""

import socket
from pathlib import Path

from lab.plan import VOLUME_GROUP

_listening: list[socket.socket] = []


def lose_link(volume: str) -> None:
    """Remove the link to an active logical volume, as a udev that fails does."""
    Path("/dev", VOLUME_GROUP, f"volume-{volume}").unlink()


def listen(address: str, port: int) -> None:
    """Listen there, as another daemon does, for as long as this process lives."""
    _listening.append(socket.create_server((address, port)))
