# SPDX-License-Identifier: Apache-2.0
"""The graph of hosts, volumes, and the uses between them.

Its keys are an interface: ``doc/source/topology.rst`` describes them.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from taikun_cinder.accesses import Access
from taikun_cinder.cli.volume_show import differences
from taikun_cinder.survey import Seen

#: So many hosts share a volume.
_SEVERAL = 2


@dataclasses.dataclass(frozen=True)
class Host:
    """A host that uses volumes.

    Attributes:
        id: its initiator's name, since a target tells hosts apart by nothing else; its
            own name where no initiator is known.
        initiator: empty if it is not known.
        names: what its connectors call it, sorted. Two services of one host may give
            different ones, and so do two hosts with one initiator.
    """

    id: str
    initiator: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """What people call it."""
        return " / ".join(self.names) or self.id


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume that is attached, exported or recorded.

    Attributes:
        back_end: whose it is, as ``node@backend``.
        id: Cinder's.
        status: Cinder's; ``unknown`` if it could not be read.
        target: the name of its target.
        blind: whether Cinder's attachments could not be read.
        busy: whether an operation on it was under way.
        differences: between Cinder and the kernel, as ``volume show`` tells them.
    """

    back_end: str
    id: str
    status: str
    target: str
    blind: bool
    busy: bool
    differences: tuple[dict[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Edge:
    """A use of a volume by a host; what is not said here is as in ``Access``.

    Attributes:
        back_end: the volume's.
        volume: its id.
        host: the host's id; None as long as no host has asked for the volume.
        differs: whether a difference of the volume is about this host.
    """

    back_end: str
    volume: str
    host: str | None
    attachment: str
    server: str
    asked: str
    enforced: str
    disk: str
    logged_in: bool
    address: str
    remark: str
    differs: bool


@dataclasses.dataclass(frozen=True)
class Graph:
    """Which hosts use which volumes; all is sorted, as people count."""

    hosts: tuple[Host, ...]
    volumes: tuple[Volume, ...]
    edges: tuple[Edge, ...]

    def users(self) -> dict[tuple[str, str], list[str]]:
        """Give the ids of the hosts of each volume, by its back end and id."""
        order = {host.id: place for place, host in enumerate(self.hosts)}
        found: dict[tuple[str, str], set[str]] = {}
        for edge in self.edges:
            if edge.host is not None:
                found.setdefault((edge.back_end, edge.volume), set()).add(edge.host)
        return {key: sorted(ids, key=order.__getitem__) for key, ids in found.items()}

    def chosen(self, *, host: str = "", shared: bool = False) -> "Graph":
        """Give only the volumes that are asked for, with all their hosts.

        Args:
            host: only those of this host, by a name or its initiator; empty for any.
            shared: only those that several hosts use.
        """
        asked = {one.id for one in self.hosts if _is_called(one, host)}
        users = self.users()

        def is_chosen(key: tuple[str, str]) -> bool:
            ids = users.get(key, [])
            if shared and len(ids) < _SEVERAL:
                return False
            return not host or not asked.isdisjoint(ids)

        edges = [one for one in self.edges if is_chosen((one.back_end, one.volume))]
        left = {edge.host for edge in edges}
        return Graph(
            tuple(one for one in self.hosts if one.id in left),
            tuple(one for one in self.volumes if is_chosen((one.back_end, one.id))),
            tuple(edges),
        )


def graph(found: Collection[tuple[str, Seen, list[Access]]]) -> Graph:
    """Make the graph of what was seen.

    Args:
        found: for each volume its back end, what was seen of it, and who uses it.
    """
    uses = [use for _, _, of_volume in found for use in of_volume]
    hosts = sorted(_hosts(uses), key=lambda host: natural(host.label))
    ids = _ids(hosts)
    place = {host.id: number for number, host in enumerate(hosts)}
    volumes = [_volume(back_end, seen) for back_end, seen, _ in found]
    edges = [
        _edge(back_end, seen, use, ids.get(_key(use)))
        for back_end, seen, of_volume in found
        for use in of_volume
    ]
    return Graph(
        tuple(hosts),
        tuple(sorted(volumes, key=lambda one: (natural(one.back_end), one.id))),
        tuple(
            sorted(
                edges,
                key=lambda one: (
                    len(place) if one.host is None else place[one.host],
                    natural(one.back_end),
                    one.volume,
                ),
            )
        ),
    )


def natural(text: str) -> list[tuple[int, int, str]]:
    """Give a key that sorts ``compute10`` behind ``compute2``."""
    parts = re.split(r"([0-9]+)", text.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _key(use: Access) -> tuple[str, str]:
    return (use.initiator, "") if use.initiator else ("", use.host.lower())


def _hosts(uses: Iterable[Access]) -> list[Host]:
    names: dict[str, dict[str, str]] = {}
    nameless: dict[str, str] = {}
    for use in uses:
        if use.initiator:
            own = names.setdefault(use.initiator, {})
            if use.host:
                own.setdefault(use.host.lower(), use.host)
        elif use.host:
            nameless.setdefault(use.host.lower(), use.host)
    known = [
        Host(initiator, initiator, tuple(sorted(own.values())))
        for initiator, own in names.items()
    ]
    called = {name for own in names.values() for name in own}
    return known + [
        Host(name, "", (name,)) for key, name in nameless.items() if key not in called
    ]


def _ids(hosts: Iterable[Host]) -> Mapping[tuple[str, str], str]:
    """Give the host's id by what a use says of it."""
    found: dict[tuple[str, str], str] = {}
    for host in hosts:
        if host.initiator:
            found[host.initiator, ""] = host.id
        for name in host.names:
            found.setdefault(("", name.lower()), host.id)
    return found


def _is_called(host: Host, name: str) -> bool:
    return name.lower() in {one.lower() for one in (host.id, *host.names)}


def _volume(back_end: str, seen: Seen) -> Volume:
    return Volume(
        back_end,
        seen.volume.id,
        seen.volume.status,
        seen.known.target,
        seen.is_blind,
        seen.is_busy,
        tuple(differences(seen)),
    )


def _edge(back_end: str, seen: Seen, use: Access, host: str | None) -> Edge:
    about = {str(finding.initiator) for finding in seen.findings if finding.initiator}
    return Edge(
        back_end,
        seen.volume.id,
        host,
        use.attachment,
        use.server,
        use.asked,
        use.enforced,
        use.disk,
        use.logged_in,
        use.address,
        use.remark,
        bool(use.initiator) and use.initiator in about,
    )


def as_dict(what: Graph) -> dict[str, Any]:
    """Give a graph as JSON has it."""
    return {
        "hosts": [dataclasses.asdict(host) for host in what.hosts],
        "volumes": [dataclasses.asdict(volume) for volume in what.volumes],
        "edges": [dataclasses.asdict(edge) for edge in what.edges],
    }
