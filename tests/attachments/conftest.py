# SPDX-License-Identifier: Apache-2.0
"""The cloud and its volumes as fixtures, and what is known to fail where."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.attachments import cannot_hold, cloud
from tests.attachments.api import Api
from tests.attachments.cloud import Cloud

_USERS = ("admin", "reader", "other", "service")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("attachments", "the suite of the attachments API")
    group.addoption(
        "--in-tree",
        action="store_true",
        help="run on Cinder's own LVM driver, in the lab",
    )
    group.addoption(
        "--cloud",
        metavar="NAME",
        help="run as this entry of clouds.yaml, instead of in the lab; envvars means "
        "the OS_* variables",
    )
    for user in _USERS:
        group.addoption(
            f"--{user}-cloud", metavar="NAME", help=f"the entry of the {user}"
        )
    for kind in ("shared", "plain"):
        group.addoption(
            f"--{kind}-type",
            metavar="NAME",
            help=f"the volume type of volumes that are {kind}; the first that fits",
        )


def pytest_runtest_call(item: pytest.Item) -> None:
    """Expect those to fail that cannot hold; it is an error if one of them passes.

    But not in another cloud, whose Cinder may have been mended. It is not expected of
    the fixtures: a test without a cloud has shown nothing.
    """
    known = cannot_hold.ANY_BACK_END | (
        cannot_hold.IN_TREE if item.config.getoption("--in-tree", None) else {}
    )
    if reason := known.get(item.nodeid.rpartition("/")[2]):
        strict = not item.config.getoption("--cloud", None)
        item.add_marker(pytest.mark.xfail(reason=reason, strict=strict))


@pytest.fixture(scope="session")
def _cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    option = request.config.getoption
    if name := option("--cloud", None):
        names = {user: option(f"--{user}-cloud") for user in _USERS}
        types = (option("--shared-type"), option("--plain-type"))
        found = cloud.named({"member": name, **names}, types)
        yield found
        found.close()
    else:
        from tests.attachments import lab_cloud  # noqa: PLC0415 - needs the lab's own

        with lab_cloud.started(in_tree=bool(option("--in-tree", None))) as found:
            yield found


@pytest.fixture(name="cloud")
def _cloud_in_this_thread(_cloud: Cloud) -> Cloud:
    """The cloud that the suite runs against."""
    _cloud.prepare_thread()
    return _cloud


@pytest.fixture
def member(cloud: Cloud) -> Api:
    """An ordinary member of a project."""
    return cloud.member


@pytest.fixture
def service(cloud: Cloud) -> Api:
    """The member, with the token of a service: who may end any attachment."""
    return cloud.service


def _given(user: Api | None, name: str) -> Api:
    if user is None:
        pytest.skip(f"no {name} is known; --{name}-cloud names one")
    return user


@pytest.fixture
def admin(cloud: Cloud) -> Api:
    """An administrator."""
    return _given(cloud.admin, "admin")


@pytest.fixture
def fencer(cloud: Cloud) -> Api:
    """An administrator, with the token of a service."""
    return _given(cloud.fencer, "admin")


@pytest.fixture
def reader(cloud: Cloud) -> Api:
    """A user who may only read in the member's project."""
    return _given(cloud.reader, "reader")


@pytest.fixture
def other(cloud: Cloud) -> Api:
    """A member of another project, which has had a volume."""
    user = _given(cloud.other, "other")
    with cloud.volumes("foreign").lent():
        pass
    return user


@contextlib.contextmanager
def _lent(request: pytest.FixtureRequest, cloud: Cloud, kind: str) -> Iterator[str]:
    def may_stay() -> bool:  # known since pytest_runtest_call
        return request.node.get_closest_marker("xfail") is not None

    with cloud.volumes(kind).lent(may_stay) as volume:
        yield volume


@pytest.fixture
def shared(request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[str]:
    """A multi-attach volume that nobody has, by its id."""
    with _lent(request, cloud, "shared") as volume:
        yield volume


@pytest.fixture
def plain(request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[str]:
    """A volume that is not multi-attach, and that nobody has, by its id."""
    with _lent(request, cloud, "plain") as volume:
        yield volume


@pytest.fixture(params=["shared", "plain"])
def either(request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[str]:
    """A volume of each kind, one after the other."""
    with _lent(request, cloud, request.param) as volume:
        yield volume
