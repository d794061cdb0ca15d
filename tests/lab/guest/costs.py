# SPDX-License-Identifier: Apache-2.0
"""Counts the work of the driver for a host, in numbers that no busy machine changes.

Only what the calling thread does is counted, and what it lets do. Here the privileged
half runs in the same process, so its file operations are seen too.
"""

import collections
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event

from lab.guest.initiators import connector
from lab.guest.volume import backend
from taikun_cinder.cinder_db import api as db_api
from taikun_cinder.privsep import files, lio

_FILES = ("get", "put", "make", "remove", "link", "unlink", "entries", "links")
_CALLS = ("read", "apply", "names")
#: Events of Python's, see sys.addaudithook(), with what they are counted as.
_EVENTS = {
    "subprocess.Popen": "commands",
    "os.posix_spawn": "commands",
    "os.fork": "commands",
    "pathlib.Path.glob": "walks",
    "pathlib.Path.rglob": "walks",
    "os.walk": "walks",
}

_counts: collections.Counter[str] = collections.Counter()
_counting: int | None = None


def _count(cost: str) -> None:
    # Changes are made in a thread of their own (targets.lio.kernel), which waits for
    # nobody else here.
    applying = _counting is not None and threading.current_thread().name == "lio-apply"
    if threading.get_ident() == _counting or applying:
        _counts[cost] += 1


def _counted(cost: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        _count(cost)
        return function(*arguments, **named)

    return counted


def install() -> None:
    """Begin to watch this process, whose back end was started."""
    for name in _FILES:
        setattr(files, name, _counted("files", getattr(files, name)))
    for name in _CALLS:
        setattr(lio, name, _counted("privileged calls", getattr(lio, name)))
    event.listen(
        db_api.get_engine(), "before_cursor_execute", lambda *_: _count("queries")
    )
    sys.addaudithook(
        lambda name, _arguments: _count(_EVENTS[name]) if name in _EVENTS else None
    )


@contextlib.contextmanager
def _during() -> Iterator[dict[str, int]]:
    global _counting  # noqa: PLW0603 - the hooks cannot be given anything
    _counts.clear()
    found: dict[str, int] = {}
    _counting = threading.get_ident()
    try:
        yield found
    finally:
        _counting = None
        found.update(_counts)


def of_a_host(volume_id: str) -> dict[str, dict[str, int]]:
    """Count what letting another host in and out takes, in the driver's own calls.

    Where it is the volume's only one, its detach is the last one.

    Returns:
        for ``attach`` and ``detach`` the numbers of ``commands``, ``walks`` (over all
        that is in a folder), ``privileged calls``, ``files`` (operations on configfs)
        and ``queries`` (to Cinder's database); what is not there was not done.
    """
    served = backend()
    driver, host = served.manager.driver, connector("counted")
    attachment, volume = served.reserve(volume_id), served.volume(volume_id)
    driver.validate_connector(host)
    with _during() as attach:
        driver.create_export(served.context, volume, host)
        driver.initialize_connection(volume, host)
    volume = served.volume(volume_id)
    with _during() as detach:
        # As VolumeManager.attachment_delete() does.
        if not driver.terminate_connection(volume, host):
            driver.remove_export(served.context, volume)
    served.detach(attachment)
    return {"attach": attach, "detach": detach}


def of_a_reconcile(volume_id: str) -> dict[str, int]:
    """Count what a reconcile takes for one volume whose export is right."""
    served = backend()
    volume = served.volume(volume_id)
    with _during() as reconcile:
        served.manager.driver._exports.ensure(volume, sweep=60, search=True)
    return reconcile
