# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder fence``: ends a host's access to a volume now, at the target."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import tenacity
from cinder.exception import CinderException

from taikun_cinder import database, locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.cli import places, status
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.places import Place
from taikun_cinder.cli.verb import (
    ListVerb,
    NothingDoneError,
    add_backend,
    add_volume,
    filled,
)
from taikun_cinder.exception import TargetBusy
from taikun_cinder.survey import DATABASE_PATIENCE
from taikun_cinder.words import of_error

#: Whether the host had access and a session, None if that could not be seen.
COLUMNS = ("Volume", "Initiator", "Had access", "Was logged in", "Seconds")

#: The same with --lift, for what the host has now.
LIFTED_COLUMNS = ("Volume", "Initiator", "Has access", "Is logged in", "Seconds")

Row = tuple[str, str, bool | None, bool | None, float]

#: About an initiator that nobody knows, who may be another one than is meant.
_GOES_ON = (
    "It is fenced all the same, and nobody else. If the name is misspelt, the host "
    "that you mean writes on: repeat this with its own name"
)
_KEPT_OUT = (
    "If the name is misspelt, the host that you mean is kept out still: repeat this "
    "with its own name"
)

_MEANWHILE = (
    "If the host is being attached just now, that may let it in once more: repeat "
    "this, and look with 'volume show'"
)

#: What an operator does next; each line is a step.
_NEXT = (
    "What to do next: the host's servers get input/output errors from this volume. "
    "Evacuate them if the host is down (openstack server evacuate): that deletes the "
    "attachment. If it lives, delete the attachment in Cinder with a service token, as "
    "the page about fencing tells: Nova's own detach fails, since the host cannot "
    "flush the disk. See which are left by openstack --os-volume-api-version 3.27 "
    "volume attachment list --volume-id {volume} --all-projects. A new attachment of "
    "the volume lets the host in again"
)

#: How long to wait for an operation on the volume, in seconds. The host is cut off
#: before.
_PATIENCE = 10.0

#: How long to try to end an access while another call about it is at work, in seconds.
_BUSY = 5.0

#: Between two tries, in seconds: a target that has been busy for long says so at once.
_PAUSE = 0.2

_UNDER_WAY = "an operation on the volume has been under way for some seconds"

_SILENT = "Cinder's database does not answer"

_ROWS_SAY = "A fence is lifted by what Cinder's database and the kernel have"

_STAYS_OUT = "The host is fenced all the same, and stays out when the database is back"


class FenceVerb(ListVerb):
    """End a host's access to a volume now, at the target, whatever else is down.

    When this comes back with the status 0, no write of the host's reaches the volume
    any more, and none is under way. Neither Cinder's API nor its database nor
    cinder-volume is needed. The host stays out, over reconciles and reboots of this
    node, until a new attachment of the volume is made for it. All other hosts go on.

    The exit status is 0; 1 if the host may have access still, or may get it again; and
    2 if nothing was done.
    """

    EXAMPLE = (
        "runuser -u cinder -- taikun-cinder fence "
        "a3c1e5d2-7e2a-4c0e-9b7f-0d5a6a0f4f11 compute1"
    )
    FIT = False
    _is_unwritten = False

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_volume(parser)
        parser.add_argument(
            "host",
            type=filled,
            metavar="HOST",
            help="the host's name, as 'volume show' tells it, or its initiator's",
        )
        parser.add_argument(
            "--lift",
            action="store_true",
            help="undo it: what the host has attached counts again; needs the database",
        )
        add_backend(parser)
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], list[Row]]:
        """Cut the host off, and remember it."""
        found = self.backends(ComparedBackend, parsed_args.backend)
        place = self._place(found, parsed_args.volume)
        if place is None:
            raise self.unknown(parsed_args.volume, found)
        # What is wrong with other back ends is no matter of this host's.
        self.status = status.RIGHT
        goes_on = _KEPT_OUT if parsed_args.lift else _GOES_ON
        initiators = places.initiators_of(
            place, parsed_args.host, lambda known: self.wrong(f"{known}. {goes_on}")
        )
        if parsed_args.lift:
            with coordinated():
                return LIFTED_COLUMNS, self._lift(place, initiators)
        rows = [self._cut_off(place, initiator) for initiator in initiators]
        try:
            with coordinated():
                self._remember(place, initiators)
        except NothingDoneError as error:
            self.wrong(f"the host is fenced, but {error}. {_MEANWHILE}")
        self.complain(_NEXT.format(volume=place.volume.id))
        return COLUMNS, rows

    def _place(self, found: Sequence[ComparedBackend], volume: str) -> Place | None:
        for backend in found:
            with self.guarded(backend):
                place = places.find(backend, volume, self._exports_unseen)
                if place and place.shown and place.shown.device:
                    return place
                # A record of a time before must not pass for what a host has.
                backend.refuse_elsewhere()
                if place:
                    return place
        return None

    def _exports_unseen(self, backend: ComparedBackend, error: Exception) -> None:
        self.unseen += 1
        self.complain(
            f"{backend.host}: its exports cannot be listed: {of_error(error)} What is "
            "recorded can be fenced all the same"
        )

    def _lift(self, place: Place, initiators: Sequence[Initiator]) -> list[Row]:
        began = time.monotonic()
        exports = place.backend.exports
        if not database.answers(DATABASE_PATIENCE):
            raise NothingDoneError(f"{_SILENT}. {_ROWS_SAY}")
        with locks.tried(place.volume, _PATIENCE) as has_lock:
            if not has_lock:
                raise NothingDoneError(_UNDER_WAY)
            try:
                exports.look(place.volume)
            except Exception as error:
                raise NothingDoneError(f"{of_error(error)}. {_ROWS_SAY}") from error
            for initiator in initiators:
                exports.fences.forget(place.name_id, initiator)
        exports.ensure(place.volume)
        fenced = {fence.initiator for fence in exports.fences.of(place.name_id)}
        for initiator in fenced.intersection(initiators):
            self.wrong(f"the fence of {initiator} cannot be deleted (see the log)")
        now = exports.target.read(place.target)
        seconds = round(time.monotonic() - began, 2)
        return [
            (place.volume.id, one.name, one in now.hosts, one in now.connected, seconds)
            for one in initiators
        ]

    def _cut_off(self, place: Place, initiator: Initiator) -> Row:
        began = time.monotonic()
        # First of all, so that whoever looks from now on lets the host in no more.
        if not place.backend.exports.fences.set(place.name_id, initiator):
            self._tell_unwritten()
        revoked = [self._revoke(place, initiator, place.target)]
        for name, state in place.former.items():
            if state is None:
                self.wrong(
                    f"it cannot be seen whether {name} exports volume "
                    f"{place.volume.id}, too, so {initiator} may have access still"
                )
            revoked.append(state is not None and self._revoke(place, initiator, name))
        if all(revoked):
            self.complain(f"{initiator} is cut off from volume {place.volume.id}")
        shown, seconds = place.shown, round(time.monotonic() - began, 2)
        if shown is None:
            return place.volume.id, initiator.name, None, None, seconds
        all_shown = (shown, *filter(None, place.former.values()))
        had = any(initiator in one.hosts for one in all_shown)
        was_logged_in = any(initiator in one.connected for one in all_shown)
        return place.volume.id, initiator.name, had, was_logged_in, seconds

    def _tell_unwritten(self) -> None:
        if not self._is_unwritten:
            self._is_unwritten = True
            self.wrong(
                "the fence cannot be written down (see the log), so the next reconcile "
                "or a request that waits lets the host in again. It is cut off all the "
                "same. Give the folder room, and repeat this"
            )

    def _revoke(self, place: Place, initiator: Initiator, name: str) -> bool:
        """End its access at one target; say whether it is ended."""
        try:
            # An operation that finds the fence ends it just now, perhaps.
            for attempt in tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(TargetBusy),
                stop=tenacity.stop_after_delay(_BUSY),
                wait=tenacity.wait_fixed(_PAUSE),
                reraise=True,
            ):
                with attempt:
                    place.backend.target.revoke(name, initiator)
        except CinderException as error:
            self.wrong(
                f"{of_error(error)} {initiator} may have access still. The reconcile "
                "ends it as soon as the kernel lets it. If the host must not write, "
                "cut its power or its network now"
            )
            return False
        return True

    def _remember(self, place: Place, initiators: Sequence[Initiator]) -> None:
        """Let the record say it too, and see that nobody lets the host in meanwhile."""
        is_silent = not database.answers(DATABASE_PATIENCE)
        if is_silent:
            self.complain(f"{_SILENT}. {_STAYS_OUT}")
        with locks.tried(place.volume, _PATIENCE) as has_lock:
            if not has_lock:
                self.wrong(f"{_UNDER_WAY}. {_MEANWHILE}")
                return
            try:
                for initiator in initiators:
                    self._end(place, initiator, blind=is_silent)
            except CinderException as error:
                self.wrong(
                    "the host is fenced, but the volume's export could not be brought "
                    f"up to date: {of_error(error)} The next reconcile does it"
                )
                return
            finally:
                # Last of all: who came since then waits for the lock still.
                fences = place.backend.exports.fences
                marked = [fences.mark(place.name_id, one) for one in initiators]
                if not all(marked):
                    self._tell_unwritten()
        now = place.backend.target.read(place.target).hosts
        cause = (
            "its fence is not written down"
            if self._is_unwritten
            else "a new attachment was made for it"
        )
        for initiator in now.keys() & {*initiators}:
            self.wrong(
                f"{initiator} has access all the same: {cause}. Repeat this to end "
                "that too"
            )

    def _end(self, place: Place, initiator: Initiator, *, blind: bool) -> None:
        exports = place.backend.exports
        try:
            is_written = exports.fence(place.volume, initiator, blind=blind)
        except Exception as error:
            if blind or not database.is_down(error):
                raise
            self.complain(
                f"Cinder's database cannot be read ({of_error(error)}). {_STAYS_OUT}"
            )
            is_written = exports.fence(place.volume, initiator, blind=True)
        if not is_written:
            self._tell_unwritten()
