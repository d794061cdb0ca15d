# SPDX-License-Identifier: Apache-2.0
"""Requests that overtake each other, at a point that a test chooses.

For a process that has a back end, see ``lab.guest.volume``.
"""

import threading
from collections.abc import Sequence
from typing import Any

from lab.guest import initiators, steady, volume


def overtaken(
    first: tuple[str, Sequence[Any]], at: str, others: Sequence[tuple[str, Any]]
) -> list[dict[str, Any]]:
    """Make a call, and others when it is about to enter a method of the driver.

    Args:
        first: a method of the back end and its arguments.
        at: the driver's method.
        others: functions of this module, each with its arguments.

    Returns:
        what the others gave.
    """
    driver = volume.backend().manager.driver
    real = getattr(driver, at)
    given: list[dict[str, Any]] = []

    def others_first() -> None:
        given.extend(globals()[name](*arguments) for name, arguments in others)

    def wait(*arguments: Any, **named: Any) -> Any:
        setattr(driver, at, real)
        # Another request has another thread, and its own context.
        thread = threading.Thread(target=others_first)
        thread.start()
        thread.join()
        return real(*arguments, **named)

    setattr(driver, at, wait)
    name, arguments = first
    volume.call(name, *arguments)
    if len(given) != len(others):
        raise RuntimeError(f"{name} did not come to {at}, or what came first failed")
    return given


def attach_and_write(volume_id: str, host: str) -> dict[str, Any]:
    """Attach a volume to a host that logs in and writes all the time.

    Returns:
        the connection ``information``, the ``device`` and the ``run``, see
        ``lab.guest.steady``.
    """
    connector = initiators.connector(host)
    information = volume.call("attach", volume_id, connector)
    device = initiators.login(host, information)
    run = steady.begin(device, 100)
    return {"information": information, "device": device, "run": run}


def detach(attachment: str) -> dict[str, Any]:
    """Delete an attachment."""
    volume.call("detach", attachment)
    return {}
