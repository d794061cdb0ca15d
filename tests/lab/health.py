# SPDX-License-Identifier: Apache-2.0
"""What every test of a lab asks of its kernels, and whether the lab stays up."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import tail
from lab.node import Node
from lab.progress import Terminal


@contextlib.contextmanager
def healthy(*nodes: Node) -> Iterator[None]:
    """See that the nodes live behind the block, and report no fault of their own."""
    since = {node.name: len(node.kernel.said()) for node in nodes}
    yield
    for node in nodes:
        console = node.kernel.console
        assert node.answers(), f"{node.name} was lost:\n{tail(console)}"
        trouble = node.kernel.trouble(since[node.name])
        assert not trouble, f"the kernel of {node.name} reports: {trouble}"


def stays(config: pytest.Config, where: Path) -> bool:
    """Say whether the lab is to stay up behind the tests; if so, tell how to look."""
    keep = bool(config.getoption("--keep-lab"))
    if keep:
        Terminal.say(
            f"\nThe lab stays up: TAIKUN_LAB_DIR={where} tox -e lab -- shell storage"
            " (or status, logs, down)"
        )
    return keep
