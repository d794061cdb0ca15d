# SPDX-License-Identifier: Apache-2.0
"""Our own LIO target in a node, called by itself: no driver and no Cinder around it."""

import contextlib
import errno
import functools
import mmap
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oslo_concurrency import lockutils

from lab.guest import initiators
from lab.guest.system import run
from lab.plan import VOLUME_GROUP
from taikun_cinder import privsep
from taikun_cinder.privsep import files
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.kernel import NodesKernel
from taikun_cinder.targets.lio.target import LioTarget

ROOT = Path("/sys/kernel/config/target")


def prepare() -> None:
    """Act as root in this process, which an agent's process is, and not in a daemon."""
    privsep.context.set_client_mode(False)
    lockutils.set_defaults("/run/lock")


def call(method: str, *arguments: Any, **named: Any) -> Any:
    """Call a method of the target."""
    prepare()
    return getattr(LioTarget(), method)(*arguments, **named)


def ask(method: str, *arguments: Any, **named: Any) -> Any:
    """Call a method of the node's LIO itself."""
    prepare()
    return getattr(NodesKernel(), method)(*arguments, **named)


def together(calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """Call several methods at once, a thread each; give each one's result or error."""
    prepare()
    results: list[Any] = [None] * len(calls)

    def work(number: int, method: str, arguments: Sequence[Any]) -> None:
        try:
            results[number] = getattr(LioTarget(), method)(*arguments)
        except Exception as error:
            results[number] = error

    threads = [
        threading.Thread(target=work, args=(number, *call))
        for number, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def take_and_read(name: str, step: steps.Step, path: str) -> list[bytes]:
    """Take a step, and read a disk's first sector after each change of configfs.

    Returns:
        each content that was read without an error, the first one before the step.
    """
    found = [_first_sector(path)]
    reads: list[threading.Thread] = []

    def read() -> None:
        with contextlib.suppress(OSError):
            found.append(_first_sector(path))

    def then_read(change: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(change)
        def changed(*arguments: str) -> None:
            change(*arguments)
            # Without its session, the host waits for longer than this test.
            if not any(thread.is_alive() for thread in reads):
                reads.append(threading.Thread(target=read, daemon=True))
                reads[-1].start()
                reads[-1].join(0.5)

        return changed

    names = ("put", "make", "remove", "link", "unlink")
    before = {change: getattr(files, change) for change in names}
    try:
        for change, real in before.items():
            setattr(files, change, then_read(real))
        prepare()
        privileged.apply(name, [step.call])
    finally:
        for change, real in before.items():
            setattr(files, change, real)
    return found


def _first_sector(path: str) -> bytes:
    with mmap.mmap(-1, mmap.PAGESIZE) as page, memoryview(page)[:512] as view:
        device = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            os.preadv(device, [view], 0)
        finally:
            os.close(device)
        return bytes(view)


def take(name: str, step: steps.Step) -> None:
    """Take one step by hand."""
    if isinstance(step, steps.SetAttribute):
        # The driver's own way leads to right values only.
        put(name, f"attrib/{step.name}", str(step.value))
        return
    prepare()
    privileged.apply(name, [step.call])


def put(name: str, path: str, value: str) -> None:
    """Write something below the target's TPG by hand."""
    (_tpg(name) / path).write_text(value)


def ask_target(name: str, initiator: str) -> None:
    """Ask the target for a proof, too, when the initiator logs in (mutual CHAP)."""
    for field in ("userid_mutual", "password_mutual"):
        put(name, f"acls/{initiator}/auth/{field}", "secret-of-the-target")


def get(name: str, path: str) -> str:
    """Read something below the target's TPG."""
    return (_tpg(name) / path).read_text().rstrip("\n")


def unlink(name: str, path: str) -> None:
    """Remove the links in a folder below the target's TPG by hand."""
    for entry in (_tpg(name) / path).iterdir():
        if entry.is_symlink():
            entry.unlink()


def session_id(name: str, initiator: str) -> str | None:
    """Give the number that LIO has for an initiator's session, None without one."""
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"Session ID: (\d+)", get(name, f"acls/{initiator}/info"))
        return found and found[1]
    return None


def log_out(host: str, information: dict[str, Any]) -> None:
    """Log a host out, and wait until LIO has ended its session, too.

    It does so a moment after it answered the host.

    Raises:
        TimeoutError: LIO keeps the session.
    """
    initiator = information.get("initiator") or initiators.connector(host)["initiator"]
    names = (information["target_iqn"], initiator)
    before = session_id(*names)
    initiators.logout(host, information)
    deadline = time.monotonic() + 10
    while before is not None and session_id(*names) == before:
        if time.monotonic() > deadline:
            raise TimeoutError(f"LIO keeps the session of {initiator}")
        time.sleep(0.01)


def make(name: str, path: str) -> None:
    """Make a folder below the target's TPG by hand."""
    (_tpg(name) / path).mkdir()


def in_tree(*arguments: str) -> str:
    """Do something to LIO as Cinder's own driver does it."""
    return run("cinder-rtstool", *arguments)


def unload() -> None:
    """Make a kernel that has never heard of LIO. There must be no export."""
    for folder in (ROOT / "iscsi", *ROOT.glob("core/*_*")):
        if folder.exists():
            folder.rmdir()
    # With the first backstore of any kind the kernel loads all kinds.
    plugins = [
        f"target_core_{plugin}" for plugin in ("iblock", "file", "pscsi", "user")
    ]
    run("modprobe", "-r", "--all", "iscsi_target_mod", *plugins, "target_core_mod")


def make_volume(volume: str, size: str = "8m") -> str:
    """Make a logical volume; give its device."""
    run("lvcreate", "--yes", "-L", size, "-n", volume, VOLUME_GROUP)
    return f"/dev/{VOLUME_GROUP}/{volume}"


def in_use(device: str) -> bool:
    """Say whether a block device is open exclusively, as by a backstore."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return True
    return False


def _tpg(name: str) -> Path:
    return ROOT / "iscsi" / name / "tpgt_1"
