# SPDX-License-Identifier: Apache-2.0
"""etcd, which can have the locks of Cinder's services; a cluster starts without it."""

import base64
import json
import urllib.request

from lab.plan import CONTROL
from lab.sandbox import Sandbox
from lab.services.daemon import Daemon, answers
from lab.workdir import WorkFolder

PORT = 2379
_PEERS = "http://127.0.0.1:2380"
_ADDRESS = f"http://{CONTROL}:{PORT}"

#: ``backend_url`` of ``[coordination]``.
URL = f"etcd3+{_ADDRESS}"

#: What tooz writes before a lock's name.
_LOCKS = "/tooz/locks"


def daemon(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give a server that is its own cluster; its data are in the lab's folder."""
    argv = [
        "etcd",
        "--name=lab",
        f"--data-dir={work.inside('etcd')}",
        f"--listen-client-urls={_ADDRESS}",
        f"--advertise-client-urls={_ADDRESS}",
        f"--listen-peer-urls={_PEERS}",
        f"--initial-advertise-peer-urls={_PEERS}",
        f"--initial-cluster=lab={_PEERS}",
    ]
    return Daemon(sandbox, work, "etcd", argv, answers(PORT))


def locks() -> set[str]:
    """Give the names of the locks that are held; the thread is in the lab's network.

    Raises:
        OSError: etcd does not answer.
    """
    first, behind = _LOCKS.encode(), _LOCKS[:-1].encode() + b"t"
    wish = {"key": _coded(first), "range_end": _coded(behind), "keys_only": True}
    address = f"{_ADDRESS}/v3/kv/range"
    with urllib.request.urlopen(  # noqa: S310 - it is the lab's own
        address, data=json.dumps(wish).encode(), timeout=10
    ) as answer:
        found = json.load(answer).get("kvs", [])
    names = (base64.b64decode(entry["key"]).decode() for entry in found)
    return {name.removeprefix(_LOCKS) for name in names}


def _coded(key: bytes) -> str:
    return base64.b64encode(key).decode()
