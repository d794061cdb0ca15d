# SPDX-License-Identifier: Apache-2.0
"""Requests that come at the same time."""

import threading
from collections.abc import Sequence
from typing import Any


def together(obj: Any, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """Call several methods of an object at the same time, a thread each.

    Args:
        obj: whose.
        calls: each method's name with its arguments.

    Returns:
        for each call its result, or ``{"error": TEXT}``.
    """
    results: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def work(index: int, name: str, arguments: Sequence[Any]) -> None:
        barrier.wait()
        try:
            results[index] = getattr(obj, name)(*arguments)
        except Exception as error:
            results[index] = {"error": f"{type(error).__name__}: {error}"}

    threads = [
        threading.Thread(target=work, args=(index, name, arguments))
        for index, (name, arguments) in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
