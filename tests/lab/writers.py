# SPDX-License-Identifier: Apache-2.0
"""Hosts that write all the time, and must not notice what else happens."""

import contextlib
import time
from collections.abc import Iterator

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from tests.lab.stories import Story

#: Between two writes, in seconds.
PAUSE = 0.05


@contextlib.contextmanager
def undisturbed(story: Story, *devices: str) -> Iterator[None]:
    """Write to devices during the block: no write may fail, or wait for its target.

    A write that waits for a target that is gone fails after the initiator's
    replacement time-out, and the writer does not end before. So none is missed.
    """
    runs = {
        device: story.guest("lab.guest.steady", "begin", device, 100 + number, PAUSE)
        for number, device in enumerate(devices)
    }
    try:
        yield
        time.sleep(1)
    finally:
        seen = {
            device: story.guest("lab.guest.steady", "end", runs[device])
            for device in runs
        }
    for device, saw in seen.items():
        assert saw["errors"] == [], device
        assert saw["writes"] > 0, device
        assert saw["longest"] < REPLACEMENT_TIMEOUT, device
