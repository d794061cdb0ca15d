# SPDX-License-Identifier: Apache-2.0
"""The lab's two sizes as fixtures; after each test its kernels must be healthy."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from lab.cluster import Cluster
from lab.kernel import choice
from lab.node import Call
from lab.progress import Terminal
from lab.services.cinder_conf import PATHS_BACKEND
from lab.single import SingleNode
from lab.workdir import PROJECT, WorkFolder
from tests.lab import health, lanes, turns
from tests.lab.lio_world import NodeLab, NodeWorld

FOLDER = PROJECT / ".lab-tests"

#: pytest-xdist's name of this process: gw0, gw1 and so on.
_WORKER = "PYTEST_XDIST_WORKER"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="take all of what a usual run takes a sample of",
    )
    parser.addoption(
        "--patched",
        action="store_true",
        help="patch Python by eventlet in the one-kernel node, as Cinder's services do",
    )


def pytest_configure() -> None:
    """Let labs that run at once boot one kernel, and begin at different processors."""
    turns.fix()
    if _WORKER in os.environ:
        os.environ["TAIKUN_LAB_PROCESSOR"] = str(_lane())
    elif not os.environ.get(choice.VARIABLE):
        # For all processes of this run, whatever another clone chooses meanwhile.
        os.environ[choice.VARIABLE] = choice.found()


def pytest_report_header() -> str:
    """Tell how to take the same cases and samples again."""
    return f"cases in turn: {turns.VARIABLE}={turns.number()}"


def _lane() -> int:
    """Give the number of this process among those of pytest-xdist, from 0 on."""
    return int(os.environ.get(_WORKER, "gw0").removeprefix("gw"))


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with what it needs, and let those of one lab run together."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        for marker in ("node", "cluster"):
            if marker in names:
                item.add_marker(marker)
        lanes.group(item)
    items[:] = lanes.order(items)


@pytest.hookimpl(specname="pytest_collection_modifyitems", trylast=True)
def pytest_leave_out_other_turns(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out the cases that are another turn's, but not what was chosen by hand.

    Nor is anything of the share left out that each release of Cinder is tried on.
    """
    by_hand = any("::" in argument for argument in config.args) or any(
        config.getoption(name) for name in ("keyword", "lf", "thorough")
    )
    share = "share" in config.getoption("markexpr")
    left = [] if by_hand or share else turns.left_out(items)
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> lanes.Lanes | None:
    """Hand the tests out as ``lanes`` says, with ``--dist loadgroup``."""
    chosen = config.getvalue("dist") == "loadgroup"
    return lanes.Lanes(config, log) if chosen else None


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Tell whether samples are to be the whole."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(scope="session")
def _requirements() -> None:
    """Name the missing requirements, instead of failing somewhere in the middle."""
    tools = ("nsenter", "socat", "iscsid", "lvm", "cc")
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing or os.geteuid() != 0:
        pytest.fail(
            "the lab needs root, and the packages that bindep.txt names (run "
            f"tools/with-packages tox); these commands are missing: {missing}"
        )


def folder(name: str) -> Path:
    """Give a lab's folder: each process of the tests has labs of its own."""
    return FOLDER / f"{name}-{_lane()}"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let no other process start a cluster meanwhile, since two at once take longer."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def _the_node(
    request: pytest.FixtureRequest, _requirements: None
) -> Iterator[SingleNode]:
    where = folder("node")
    single = SingleNode(
        WorkFolder(where), patched=bool(request.config.getoption("--patched"))
    )
    single.up()
    yield single
    if health.stays(request.config, where):
        single.keep()
    else:
        single.down()


@pytest.fixture(scope="session")
def _the_cluster(
    request: pytest.FixtureRequest, _requirements: None
) -> Iterator[Cluster]:
    where = folder("cluster")
    with _alone():
        cluster = Cluster.up(WorkFolder(where), Terminal())
    yield cluster
    if health.stays(request.config, where):
        cluster.sandbox.detach()
    else:
        cluster.down()


@pytest.fixture
def node(_the_node: SingleNode) -> Iterator[SingleNode]:
    """The one-kernel node, empty, with a check of its kernel behind the test."""
    _the_node.sandbox.join_network()
    _the_node.mend()
    _the_node.node.call("tests.lab.guest.reset", "forget_everything")
    with health.healthy(_the_node.node):
        yield _the_node


@pytest.fixture
def process(node: SingleNode) -> Iterator[Call]:
    """A process of root in the one-kernel node."""
    with node.node.session() as session:
        yield session


@pytest.fixture
def world(process: Call) -> NodeWorld:
    """The one-kernel node, with our target in that process."""
    return NodeWorld(process)


@pytest.fixture
def lab(world: NodeWorld) -> NodeLab:
    """The one-kernel node, with one volume in it."""
    return NodeLab(world)


@pytest.fixture
def cluster(_the_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, with a check of its kernels behind the test."""
    _the_cluster.sandbox.join_network()
    _the_cluster.mend()
    with health.healthy(*_the_cluster.nodes.values()):
        yield _the_cluster


@pytest.fixture(scope="session")
def paths_service(_the_cluster: Cluster) -> None:
    """The cluster's back end with several portals, which stays up from then on."""
    _the_cluster.sandbox.join_network()
    _the_cluster.start_backend(PATHS_BACKEND)
