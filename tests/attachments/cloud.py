# SPDX-License-Identifier: Apache-2.0
"""The cloud that the suite runs against: its users and its volume types."""

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from keystoneauth1.adapter import Adapter
from keystoneauth1.service_token import ServiceTokenAuthWrapper
from keystoneauth1.session import Session

from tests.attachments.api import Api
from tests.attachments.volumes import Volumes

SERVICE = "block-storage"

#: An answer may take as long as a back end's slowest request, in seconds.
TIMEOUT = 600

_MULTIATTACH = "<is> True"


@dataclasses.dataclass
class Cloud:
    """A cloud, and as whom the suite may act in it.

    Attributes:
        member: an ordinary member of a project, whose volumes are used.
        service: the same user with a service's token, as Nova sends it when it detaches
            a server's volume; or the member alone where Cinder can ask Nova.
        admin: an administrator, or None.
        fencer: the administrator with a service's token, or None.
        reader: a user who may only read in the member's project, or None.
        other: a member of another project, or None.
        shared_type: the volume type that is multi-attach, or None.
        plain_type: one of the same back end that is not, or None.
        prepare_thread: each thread that sends requests calls it first.
    """

    member: Api
    service: Api
    admin: Api | None = None
    fencer: Api | None = None
    reader: Api | None = None
    other: Api | None = None
    shared_type: str | None = None
    plain_type: str | None = None
    prepare_thread: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._volumes: dict[str, Volumes] = {}

    def volumes(self, kind: str) -> Volumes:
        """Give the volumes of a kind; skip if the cloud has none.

        The kinds are ``shared``, ``plain`` and ``foreign``: those of the other project.
        """
        plain = self.plain_type or self.shared_type
        owner, name = {
            "shared": (self.member, self.shared_type),
            "plain": (self.member, self.plain_type),
            "foreign": (self.other, plain),
        }[kind]
        if owner is None or name is None:
            pytest.skip(f"no volume type is known for volumes that are {kind}")
        if kind not in self._volumes:
            detacher = self.service if owner is self.member else owner
            self._volumes[kind] = Volumes(owner, detacher, name)
        return self._volumes[kind]

    def close(self) -> None:
        """Delete the volumes that were made."""
        for volumes in self._volumes.values():
            volumes.close()

    def at_once(self, *actions: Callable[[], Any]) -> list[Any]:
        """Do all at the same time; give the results, or errors, in their order."""
        barrier = threading.Barrier(len(actions))

        def take(action: Callable[[], Any]) -> Any:
            barrier.wait()
            return action()

        with concurrent.futures.ThreadPoolExecutor(
            len(actions), initializer=self.prepare_thread
        ) as pool:
            taken = [pool.submit(take, action) for action in actions]
            return [one.exception() or one.result() for one in taken]


def api(session: Session, region: str | None = None, interface: Any = None) -> Api:
    """Give the API of the block storage service, as the user of a session."""
    adapter = Adapter(
        session, service_type=SERVICE, region_name=region, interface=interface
    )
    return Api(adapter)


def find_type(member: Api, *, multiattach: bool) -> str | None:
    """Give the name of the first volume type that is multi-attach, or is not.

    Cinder shows every user whether a type is, since its release Xena.
    """
    found = member.call("GET", "/types")["volume_types"]
    for volume_type in found:
        specs = volume_type.get("extra_specs") or {}
        if (specs.get("multiattach") == _MULTIATTACH) == multiattach:
            return str(volume_type["name"])
    return None


def named(names: dict[str, str | None], types: Sequence[str | None]) -> Cloud:
    """Give a cloud that clouds.yaml knows; ``envvars`` is that of the OS_* variables.

    Args:
        names: of the entries of clouds.yaml, by the user: ``member`` and so on. That of
            ``service`` is a user whose token is a service's.
        types: names of the type that is multi-attach and of the one that is not. Where
            one is None, the first that fits is taken.
    """
    from openstack.config import OpenStackConfig  # noqa: PLC0415 - the lab needs none

    config = OpenStackConfig()

    def user(role: str, service: Session | None = None) -> Api | None:
        if (name := names.get(role)) is None:
            return None
        region = config.get_one(cloud=name, api_timeout=TIMEOUT)
        session = region.get_session()
        if service is not None and session.auth and service.auth:
            session.auth = ServiceTokenAuthWrapper(session.auth, service.auth)
        return api(
            session, region.get_region_name(SERVICE), region.get_interface(SERVICE)
        )

    token = None
    if (service := names.get("service")) is not None:
        token = config.get_one(cloud=service).get_session()
    member = user("member")
    assert member is not None
    shared, plain = types
    return Cloud(
        member=member,
        service=user("member", token) or member,
        admin=user("admin"),
        fencer=user("admin", token),
        reader=user("reader"),
        other=user("other"),
        shared_type=shared or find_type(member, multiattach=True),
        plain_type=plain or find_type(member, multiattach=False),
    )
