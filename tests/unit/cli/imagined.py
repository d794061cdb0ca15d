# SPDX-License-Identifier: Apache-2.0
"""Topologies as ``taikun-cinder topology -f json`` prints them, of imagined clouds."""

import random
import uuid
from typing import Any

_DIFFERENCE = {
    "difference": "mode",
    "found": "rw",
    "wanted": "ro",
    "means": "the host may write, and its attachment asks it only to read",
    "cause": "the kernel was changed by somebody else than the driver, a request was "
    "killed half way, or an option was changed",
    "reconcile": "does set write protect of LUN 0",
}


def imagined(volumes: int, hosts: int, seed: int = 1) -> dict[str, Any]:
    """Make a topology: most volumes have one host, many two, some a whole cluster."""
    chance = random.Random(seed)  # noqa: S311 - no secret comes of it
    names = [f"compute{number + 1}" for number in range(hosts)]
    back_ends = ["storage1@lvm-fast", "storage1@lvm-large"]
    clusters = [chance.sample(names, min(hosts, 4)) for _ in range(hosts // 5 + 1)]
    pairs = [chance.sample(names, min(hosts, 2)) for _ in range(hosts)]
    made, edges = [], []
    for _ in range(volumes):
        some_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        kind = chance.random()
        if kind < 0.45:
            users = [chance.choice(names)]
        elif kind < 0.85:
            users = chance.choice(pairs)
        else:
            users = chance.choice(clusters)
        back_end = chance.choice(back_ends)
        volume = _volume(back_end, some_id)
        asked = "ro" if chance.random() < 0.15 else "rw"
        for place, host in enumerate(users):
            edges.append(_edge(chance, volume, host, asked if place else "rw"))
            if edges[-1]["differs"]:
                volume["differences"].append(
                    {"initiator": edges[-1]["host"], **_DIFFERENCE}
                )
        made.append(volume)
    return {
        "made": "2026-11-27T16:20:05+00:00",
        "node": "storage1",
        "version": "0.2.0",
        "back_ends": back_ends,
        "only": {"host": "", "shared": False},
        "unseen": [],
        "hosts": [
            {"id": _initiator(name), "initiator": _initiator(name), "names": [name]}
            for name in names
        ],
        "volumes": made,
        "edges": edges,
    }


def few() -> dict[str, Any]:
    """Make a topology of five volumes, with all that can be to see in it."""
    topology = imagined(0, 4)
    chance = random.Random(7)  # noqa: S311 - no secret comes of it
    uses = ["1W 2W", "1W 2R 3R", "1W 2R 3R", "3W 4w", "4W 1R!"]
    for number, own in enumerate(uses):
        some_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        volume = _volume(topology["back_ends"][number // 4], some_id)
        topology["volumes"].append(volume)
        for use in own.split():
            mode = "rw" if use[1] in "wW" else "ro"
            edge = _edge(chance, volume, f"compute{use[0]}", mode)
            edge["differs"] = use.endswith("!")
            edge["logged_in"] = use[1].isupper()
            edge["enforced"] = "rw" if edge["differs"] else mode
            if edge["differs"]:
                volume["differences"] = [{"initiator": edge["host"], **_DIFFERENCE}]
            topology["edges"].append(edge)
    return topology


def _initiator(name: str) -> str:
    return f"iqn.2026-11.com.example:{name}"


def _volume(back_end: str, volume: str) -> dict[str, Any]:
    return {
        "back_end": back_end,
        "id": volume,
        "status": "in-use",
        "target": f"iqn.2010-10.org.openstack:volume-{volume}",
        "blind": False,
        "busy": False,
        "differences": [],
    }


def _edge(
    chance: random.Random, volume: dict[str, Any], host: str, mode: str
) -> dict[str, Any]:
    logged_in = chance.random() < 0.96
    differs = mode == "ro" and chance.random() < 0.06
    return {
        "back_end": volume["back_end"],
        "volume": volume["id"],
        "host": _initiator(host),
        "attachment": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "server": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "asked": mode,
        "enforced": "rw" if differs else mode,
        "disk": "readers" if mode == "ro" and not differs else "main",
        "logged_in": logged_in,
        "address": f"192.0.2.{10 + int(host[7:])}" if logged_in else "",
        "remark": "mode: there is rw, there should be ro" if differs else "",
        "differs": differs,
    }
