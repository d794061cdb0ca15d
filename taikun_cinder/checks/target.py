# SPDX-License-Identifier: Apache-2.0
"""The checks of what a kind of target needs, which that kind tells itself."""

import functools
from collections.abc import Iterator

from taikun_cinder import preflight, targets
from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Finding, of_problems
from taikun_cinder.cli.backends import Backend
from taikun_cinder.node import Problem
from taikun_cinder.targets.looks import Look, Place

#: The look that others need: the privileged process.
_PRIVILEGED = "privileged-process"


def _look(name: str, facts: Facts, backend: Backend) -> Iterator[Finding]:
    for look in _looks_of(backend):
        if look.name == name:
            yield from of_problems(_problems(look, facts.place(backend)), look.fine)


def _problems(look: Look, place: Place) -> Iterator[Problem]:
    is_right = True
    for problem in look.problems(place):
        is_right = False
        yield problem
    if is_right and look.by_options and not place.is_whole:
        raise Unanswered("options")


def _looks_of(backend: Backend) -> Iterator[Look]:
    chosen = targets.kind_of(backend.options)
    for kind in [chosen] if chosen else targets.all_kinds():
        yield from kind.looks()


def _check(look: Look) -> BackendCheck:
    return BackendCheck(
        look.name,
        look.about,
        functools.partial(_look, look.name),
        seconds=look.seconds,
        as_service=look.as_service,
    )


def _guard(facts: Facts, backend: Backend) -> Iterator[Finding]:
    wanted = preflight.has_guard(backend.options)
    if wanted and any(not one.tolerable for one in _privileged(facts, backend)):
        raise Unanswered(_PRIVILEGED)
    yield from of_problems(
        preflight.of_guard(backend.options),
        "The guard of file systems is off, or what is on a volume can be looked at",
    )


def _privileged(facts: Facts, backend: Backend) -> Iterator[Problem]:
    for look in _looks_of(backend):
        if look.name == _PRIVILEGED:
            yield from look.problems(facts.place(backend))


_looks = {look.name: look for kind in targets.all_kinds() for look in kind.looks()}

CHECKS = (
    *map(_check, _looks.values()),
    BackendCheck(
        "filesystem-guard",
        "Where the guard of file systems is on, the privileged process can look at "
        "what is on a volume (:doc:`filesystem-guard`).",
        _guard,
        seconds=200,
        as_service=True,
    ),
)
