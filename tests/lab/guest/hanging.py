# SPDX-License-Identifier: Apache-2.0
"""Disks that do not answer, and calls of the real privileged process that hang then.

The process that calls these is the unprivileged half: it starts the privileged one as
cinder-volume does, but without sudo.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oslo_concurrency import lockutils
from oslo_config import cfg

from lab.guest import initiators, volume
from lab.guest.system import run
from lab.guest.volume_settings import STATE
from lab.workdir import PROJECT
from taikun_cinder import privsep
from taikun_cinder.targets.lio.target import LioTarget
from tests.lab.guest import processes

_BIN = Path(sys.executable).parent

#: What was begun and has not come back yet, by number.
_begun: list[threading.Thread] = []
_outcomes: dict[int, Any] = {}


def use_daemon(timeout: float) -> int:
    """Let this process have a privileged one of its own; give this one's number.

    Args:
        timeout: how long a call is waited for, in seconds.
    """
    if not cfg.CONF.oslo_concurrency.lock_path:
        lockutils.set_defaults(str(STATE))
        STATE.mkdir(parents=True, exist_ok=True)
        cfg.CONF([], project="cinder", default_config_files=[])
    privsep.context.timeout = timeout
    # This checkout's, whatever the environment has installed.
    helper = f"env PYTHONPATH={PROJECT} {_BIN}/privsep-helper"
    cfg.CONF.set_override("helper_command", helper, group="taikun_cinder_privsep")
    privsep.context.set_client_mode(True)
    return os.getpid()


def call(method: str, *arguments: Any) -> dict[str, Any]:
    """Call a method of the target; give a ``result`` or ``error``, and ``seconds``."""
    start = time.monotonic()
    told: dict[str, Any] = {}
    try:
        told["result"] = getattr(LioTarget(), method)(*arguments)
    except Exception as error:
        told["error"] = f"{type(error).__name__}: {error}"
    return {**told, "seconds": time.monotonic() - start}


def begin(method: str, *arguments: Any) -> int:
    """Begin such a call; give its number."""
    number = len(_begun)
    thread = threading.Thread(
        target=lambda: _outcomes.update({number: call(method, *arguments)}),
        daemon=True,
    )
    _begun.append(thread)
    thread.start()
    return number


def end(number: int) -> dict[str, Any]:
    """Wait for the end of a call that was begun."""
    _begun[number].join()
    return dict(_outcomes[number])


def shrink(device: str) -> None:
    """Let a logical volume take less of a small volume group."""
    run("lvreduce", "--force", "--yes", "-L", "8m", device)


def suspend(device: str) -> None:
    """Let a logical volume answer nothing more."""
    run("dmsetup", "suspend", "--noflush", "--nolockfs", device)


def resume(device: str) -> None:
    """Let it answer again, all that was asked meanwhile too."""
    run("dmsetup", "resume", device)


def write_once(device: str) -> None:
    """Write to a host's disk that does not answer; come back when the write waits.

    Raises:
        TimeoutError: nothing waits.
    """
    _begin_to_write(device)
    _wait_until_unanswered(device)


def fall_sick(devices: Mapping[str, str]) -> None:
    """Suspend logical volumes, each under a write of a host.

    Args:
        devices: the hosts' disks, by the logical volumes.
    """
    for logical, disk in devices.items():
        suspend(logical)
        _begin_to_write(disk)
    for disk in devices.values():
        _wait_until_unanswered(disk)


def _begin_to_write(device: str) -> None:
    dd = ["dd", "if=/dev/zero", f"of={device}", "bs=4096", "count=1", "oflag=direct"]
    subprocess.Popen(dd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_until_unanswered(device: str) -> None:
    """Wait until a command to a host's disk has had no answer for a second.

    Not by "inflight" of the disk's queue, which has been seen to be 0 then.
    """
    counts = Path("/sys/class/block", Path(device).resolve().name, "device")
    deadline = time.monotonic() + 60
    since = None
    while since is None or time.monotonic() < since + 1:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no command to {device} waits for its answer")
        time.sleep(0.1)
        asked, answered = (
            int((counts / name).read_text(), 16)
            for name in ("iorequest_cnt", "iodone_cnt")
        )
        if asked == answered:
            since = None
        elif since is None:
            since = time.monotonic()


def kill(number: int) -> None:
    """Kill a process, as the kernel does when memory is short."""
    os.kill(number, 9)


def privileged() -> int:
    """Count the privileged processes that there are."""
    return len(processes.privileged())


def timed(method: str, *arguments: Any) -> float:
    """Call a method of this process's back end; give the seconds that it took."""
    start = time.monotonic()
    volume.call(method, *arguments)
    return time.monotonic() - start


def log_in(host: str, information: dict[str, Any]) -> float:
    """Log a host in to a volume, up to its disk; give the seconds that it took."""
    start = time.monotonic()
    initiators.login(host, information)
    return time.monotonic() - start


def detach_beside(
    attachments: Sequence[str], volume_id: str, connector: dict[str, Any]
) -> dict[str, Any]:
    """Begin many detaches, and then attach another volume and detach it.

    Returns:
        ``attach`` and ``detach``: the seconds that these took; ``errors``: what the
        detaches ended with, None for those that went well; ``slowest``: the seconds
        that the slowest of them took.
    """
    errors: dict[str, str | None] = {}
    start = time.monotonic()

    def detach(attachment: str) -> None:
        try:
            volume.call("detach", attachment)
            errors[attachment] = None
        except Exception as error:
            errors[attachment] = str(error)

    threads = [threading.Thread(target=detach, args=(one,)) for one in attachments]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    information = volume.call("attach", volume_id, connector)
    attached = time.monotonic()
    volume.call("detach", information["attachment_id"])
    detached = time.monotonic()
    for thread in threads:
        thread.join()
    return {
        "attach": attached - began,
        "detach": detached - attached,
        "errors": [errors[attachment] for attachment in attachments],
        "slowest": time.monotonic() - start,
    }
