# SPDX-License-Identifier: Apache-2.0
"""The lock that is held for all work on a volume, on every node."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import tenacity
from cinder import coordination
from oslo_log import log as logging
from tooz.coordination import (
    LockAcquireFailed,
    OperationTimedOut,
    ToozConnectionError,
    ToozError,
)

from taikun_cinder import waits
from taikun_cinder.exception import LocksDown, VolumeRowDamaged
from taikun_cinder.layout import is_name_id

LOG = logging.getLogger(__name__)

#: Between two attempts to release a lock, in seconds.
_PAUSE = 1.0


def of_volume(volume: Any) -> Any:
    """Give the lock of a volume of Cinder's.

    Raises:
        VolumeRowDamaged: see ``name_id_of``.
    """
    return of(name_id_of(volume))


def name_id_of(volume: Any) -> str:
    """Give the ``name_id`` of a volume of Cinder's, by which all of it is named.

    Two rows may share it for a while.

    Raises:
        VolumeRowDamaged: it cannot be one.
    """
    name_id = volume["name_id"]
    if not is_name_id(name_id):
        raise VolumeRowDamaged(volume=volume["id"], name_id=name_id)
    return str(name_id)


def of(name_id: str) -> Any:
    """Give the lock of what is named by a ``name_id``."""
    return coordination.COORDINATOR.get_lock(name(name_id))


def held_for(volume: Any) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a volume of Cinder's during the block, as ``held``.

    Raises:
        VolumeRowDamaged: see ``name_id_of``.
    """
    return held(name_id_of(volume))


@contextlib.contextmanager
def held(name_id: str) -> Iterator[None]:
    """Hold a lock during the block; reports tell who waits for it, and who has it.

    Raises:
        LocksDown: the coordination back end does not answer.
    """
    with waits.noted(f"waits for the lock of volume {name_id}") as wait:
        lock = of(name_id)
        try:
            if not lock.acquire():
                raise LockAcquireFailed(name(name_id))
        except ToozError as error:
            raise LocksDown(volume=name_id, cause=type(error).__name__) from error
        wait.what, wait.since = f"has the lock of volume {name_id}", time.monotonic()
        try:
            yield
        finally:
            _release(lock, name_id)


@contextlib.contextmanager
def tried(volume: Any, patience: float) -> Iterator[bool]:
    """Hold the lock of a volume during the block, unless another holds it too long.

    For operators, whom an operation that hangs must not keep waiting.

    Args:
        volume: Cinder's.
        patience: how long to wait for it, in seconds.

    Returns:
        whether it is held.

    Raises:
        VolumeRowDamaged: see ``name_id_of``.
    """
    lock = of_volume(volume)
    try:
        has_lock = bool(lock.acquire(blocking=patience))
    except tenacity.RetryError:
        # What tooz raises in place of an answer for locks in etcd and in databases.
        has_lock = False
    try:
        yield has_lock
    finally:
        if has_lock:
            _release(lock, volume["name_id"])


def name(name_id: str) -> str:
    """Give the name of a lock."""
    return f"taikun_cinder-{name_id}"


def forget(name_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(name(name_id))


def _release(lock: Any, name_id: str) -> None:
    """Release a lock; what was done under it stands, even if that fails."""
    try:
        if lock.release() is False:
            LOG.warning(
                "The lock of volume %s ran out while it was held: this process stood "
                "still, or could not reach the coordination back end, for longer than "
                "a lock lives. If another operation on the volume took it meanwhile, "
                "the next reconcile puts right what they left.",
                name_id,
            )
    except Exception as error:
        LOG.warning(
            "The lock of volume %(volume)s could not be released (%(cause)s). What was "
            "done under it stands.",
            {"volume": name_id, "cause": type(error).__name__},
        )
        if isinstance(error, OperationTimedOut | ToozConnectionError):
            _start_releasing(lock, name_id)


def _start_releasing(lock: Any, name_id: str) -> None:
    """Release a lock as soon as its back end answers.

    tooz's heartbeat would keep it alive as long as this process lives (``heartbeat``
    in tooz/drivers/etcd3gw.py, to 9.1.0), and all others would wait. To be deleted
    when it forgets a lock whose release failed.
    """
    threading.Thread(
        target=_keep_releasing,
        args=(lock, name_id),
        name="taikun-release",
        daemon=True,
    ).start()


def _keep_releasing(lock: Any, name_id: str) -> None:
    # The end of the service ends the heartbeat, and the lock with it.
    while coordination.COORDINATOR.started:
        time.sleep(_PAUSE)
        try:
            lock.release()
        except (OperationTimedOut, ToozConnectionError):
            continue
        except Exception:
            LOG.exception("The lock of volume %s could not be released", name_id)
            return
        LOG.info("The lock of volume %s is released", name_id)
        return
