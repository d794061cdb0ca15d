# SPDX-License-Identifier: Apache-2.0
"""Calls of cinder-volume over RabbitMQ, and what becomes of them."""

from collections.abc import Callable
from typing import Any

from oslo_messaging import MessagingTimeout

from tests.simulate.backends import Backend, Request
from tests.simulate.model import Use
from tests.simulate.world import World

#: How long cinder-api waits for an answer of cinder-volume, in seconds.
PATIENCE = 60.0


def call(
    world: World,
    what: str,
    volume: str,
    work: Callable[[Any], Any],
    use: Use | None = None,
    asked: list[Request] | None = None,
) -> Any:
    """Call cinder-volume as cinder-api does, or another back end's.

    Args:
        world: where.
        what: in words.
        volume: whose service is called.
        work: what is done with its manager.
        use: the one that is asked for; None if none is.
        asked: is given the requests.

    Raises:
        MessagingTimeout: no answer came.
        CinderException: what the service answered.
    """
    scheduler = world.scheduler
    # A repeated request that has no mode would take it out of the row again.
    twice = () if use is not None and use.mode_is_late else ("twice",)
    way = scheduler.step(f"rpc: {what}", ("lost", "unanswered", *twice))
    deadline = scheduler.now + PATIENCE
    backend = world.backend_of(volume)
    if way == "lost" or not world.is_reachable(volume):
        scheduler.block(lambda: False, deadline)
        raise MessagingTimeout(what)
    requests = [_request(world, what, work) for _ in range(2 if way == "twice" else 1)]
    if use is not None:
        use.requests.extend(requests)
    if asked is not None:
        asked.extend(requests)
    for request in requests:
        backend.ask(request)
    first = requests[0]
    done = scheduler.block(lambda: first.done, deadline)
    if not done or way == "unanswered":
        for request in requests:
            request.given_up = True
        world.fabric.log_in_again()  # as open-iscsi does all the time
        raise MessagingTimeout(what)
    for request in requests[1:]:
        request.given_up = True
    if first.error is not None:
        raise first.error
    return first.answer


def cast(
    world: World, what: str, volume: str, work: Callable[[Any], Any]
) -> Request | None:
    """Ask cinder-volume for something, and do not wait for its answer.

    Args:
        world: where.
        what: in words.
        volume: whose service is asked.
        work: what is done with its manager.

    Returns:
        the request; None if it is lost.
    """
    lost = world.scheduler.step(f"rpc: {what}", ("lost",))
    if lost or not world.is_reachable(volume):
        return None
    request = _request(world, what, work)
    world.backend_of(volume).ask(request)
    return request


def reconcile(world: World, backend: Backend) -> bool:
    """Let a pass of a back end's reconcile come to its end; say whether it did."""
    if not (backend.is_up and backend.is_ready):
        return False
    expected = world.expected
    seen = [one for one in expected.uses if _sees_use(world, backend, one)]
    over = [one for one in seen if expected.is_over(one)]
    late = [one for one in seen if one.has_late_mode]
    shown = [one for one in seen if one.attachment]
    lingering = [one for one in seen if one.lingers]
    edited = {
        volume: edit
        for volume, edit in expected.edited.items()
        if _sees(world, backend, volume)
    }
    backend.passes += 1
    request = _request(world, "reconcile", lambda manager: _pass(manager.driver))
    backend.ask(request)
    backend.under_way += 1
    world.scheduler.block(lambda: not request.is_pending)
    backend.under_way -= 1
    if not request.done or request.error or request.answer:
        return False
    for use in over:
        # What was answered and never heard of is over by now, too.
        if use in expected.uses:
            expected.uses.remove(use)
    for use in [one for one in late if one.has_late_mode]:
        use.asks = use.mode_is_late = False
    for use in shown:
        use.is_seen = True
    for use in lingering:
        use.lingers = False
    if expected.put_right(edited):
        world.fabric.log_in_again()
    expected.touch()
    return True


def _sees(world: World, backend: Backend, volume: str) -> bool:
    """Say whether a back end's pass looks at a volume as its own."""
    return world.backend_of(volume) is backend and world.is_reachable(volume)


def _sees_use(world: World, backend: Backend, use: Use) -> bool:
    """Say whether a back end's pass looks at what a use has.

    What a migration has made is another's in the end, and the volume has what it made.
    """
    if use.volume not in world.database.migrations:
        return _sees(world, backend, use.volume)
    groups = [world.volume_at(place)[0] for place in use.places]
    return backend.group in groups


def _request(world: World, what: str, work: Callable[[Any], Any]) -> Request:
    return Request(what, work, lambda: world.scheduler.now)


def _pass(driver: Any) -> int:
    failed: int = driver._reconcile.once()
    return failed
