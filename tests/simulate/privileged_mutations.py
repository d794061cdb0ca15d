# SPDX-License-Identifier: Apache-2.0
"""Faults that are planted in the privileged code, which runs over files only."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

from taikun_cinder.privsep import changes, deadline, files, readers, turns
from taikun_cinder.targets.lio import kernel

_Plant = Callable[[], contextlib.AbstractContextManager[object]]


def _maps_unprotected() -> contextlib.AbstractContextManager[object]:
    """A LUN is shown to a host, and write-protected then."""

    def map_lun(target: str, initiator: str, write_protect: bool, index: int) -> None:
        mapped = f"{changes._acl(target, initiator)}/lun_{index}"
        files.make(mapped)
        files.link(f"{mapped}/lun", f"{changes._tpg(target)}/lun/lun_{index}")
        files.put(f"{mapped}/write_protect", changes._bit(write_protect))

    _, checks = changes.CHANGES["map_lun"]
    return mock.patch.dict(changes.CHANGES, map_lun=(map_lun, checks))


def _removes_acl_first() -> contextlib.AbstractContextManager[object]:
    """An ACL is removed before what it maps."""
    real = changes._remove_acl

    def remove(acl: str) -> None:
        files.remove(acl)
        real(acl)

    return mock.patch.object(changes, "_remove_acl", remove)


def _lets_readers_write() -> contextlib.AbstractContextManager[object]:
    """The readers' disk carries out what changes it."""
    return mock.patch.object(readers, "_harden")


def _takes_loss_for_done() -> contextlib.AbstractContextManager[object]:
    """What a privileged process was doing when it was lost is taken for done."""
    real = kernel._told

    @contextlib.contextmanager
    def told(*about: Any) -> Iterator[None]:
        with contextlib.suppress(kernel.LostError), real(*about):
            yield

    return mock.patch.object(kernel, "_told", told)


@contextlib.contextmanager
def _comes_late_and_goes_on() -> Iterator[None]:
    """What comes late goes on though nobody waits for it, beside what came meanwhile.

    Either of the two guards alone keeps it from harm.
    """
    no_deadline = mock.patch.object(deadline, "check")
    no_turn = mock.patch.object(turns, "_take", return_value=True)
    with no_deadline, no_turn:
        yield


def _ends_no_session() -> contextlib.AbstractContextManager[object]:
    """A host is logged in while what it has is taken away."""
    return mock.patch.object(changes, "_end_session")


#: The faults, by name.
MUTATIONS: Mapping[str, _Plant] = {
    "maps-unprotected": _maps_unprotected,
    "removes-acl-first": _removes_acl_first,
    "lets-readers-write": _lets_readers_write,
    "takes-loss-for-done": _takes_loss_for_done,
    "comes-late-and-goes-on": _comes_late_and_goes_on,
    "ends-no-session": _ends_no_session,
}
