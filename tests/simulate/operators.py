# SPDX-License-Identifier: Apache-2.0
"""What operators do: fences, edits by hand, damaged and foreign records."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from taikun_cinder.access.model import Initiator
from taikun_cinder.cli import places, status
from taikun_cinder.cli.fence import FenceVerb
from taikun_cinder.cli.places import Place
from taikun_cinder.cli.verb import NothingDoneError
from taikun_cinder.exports import Exports
from taikun_cinder.layout import Layout
from taikun_cinder.records import Records
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.steps import ImpossibleStepError
from tests.simulate.actors import Process
from tests.simulate.api import FAILURES
from tests.simulate.decisions import Op
from tests.simulate.disk import File, SimPath
from tests.simulate.model import Use
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: What can be done to a record's file.
_DAMAGE = ("empty", "garbage", "gone", "another's")

#: What can be done to the kernel by hand.
_EDITS = ("target gone", "ACL gone", "write protect", "no write protect", "foreign ACL")

#: What a command tells an operator, of all that it can end with (Verb.run).
_TOLD = (*FAILURES, NothingDoneError, OSError)

_STATE = SimPath("/state")


class Operators:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world, self._uses = world, uses
        #: How often somebody lifted a fence, by the volume's id and the host.
        self._lifts: Counter[tuple[str, str]] = Counter()

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume in self._world.volumes:
            for host in self._world.hosts:
                yield "fence", {"volume": volume, "host": host}
                yield "lift", {"volume": volume, "host": host}
            for how in _DAMAGE:
                yield "damage", {"volume": volume, "how": how}
            for how in _EDITS:
                yield "edit", {"volume": volume, "how": how}

    def fence(self, volume: str, host: str) -> None:
        """Cut a host off, by ``taikun-cinder fence`` in a process of its own."""
        id_, found = self._world.volumes.get(volume), self._world.hosts[host]
        if id_ is None:
            return
        fenced = [
            use
            for use in self._world.expected.uses
            if use.volume == id_ and use.host is found and use.state != "reserved"
        ]
        for use in fenced:
            # What comes after the fence, it is not about.
            use.is_late |= use.is_old and not use.attachment
        verb: Any = object.__new__(FenceVerb)
        verb.status, verb.complain = status.WRONG, lambda line: None

        def work() -> None:
            verb.status = status.RIGHT
            try:
                place = self._place(id_)
                if place is None:
                    raise NothingDoneError(id_)
                verb._cut_off(place, found.initiator)
                verb._remember(place, [found.initiator])
            except _TOLD:
                verb.status = status.WRONG
            verb.is_done = True

        verb.is_done = False
        lifts = self._lifts[id_, host]
        scheduler = self._world.scheduler
        with self._world.expected.cut(id_, found):
            actor = scheduler.spawn("fence", Process("cli", node=True), work)
            scheduler.block(lambda: actor.done or actor.process.dead)
        # What is lifted while it is set may be let in again, whichever ends first.
        lifted = self._lifts[id_, host] != lifts
        if verb.is_done and verb.status == status.RIGHT and not lifted:
            scheduler.tell(f"{host} is fenced off {volume}")
            self._fenced(fenced)

    def lift(self, volume: str, host: str) -> None:
        """Undo a fence, by the same command."""
        id_, found = self._world.volumes.get(volume), self._world.hosts[host]
        if id_ is None:
            return
        self._lifts[id_, host] += 1
        for use in self._world.expected.uses:
            if use.volume == id_ and use.host is found:
                use.is_fenced = False  # from now on it may be let in again
        verb: Any = object.__new__(FenceVerb)
        verb.status, verb.complain = status.RIGHT, lambda line: None

        def work() -> None:
            with contextlib.suppress(*_TOLD):
                if place := self._place(id_):
                    verb._lift(place, [found.initiator])

        scheduler = self._world.scheduler
        with self._world.expected.cut(id_, found):
            actor = scheduler.spawn("lift", Process("cli", node=True), work)
            scheduler.block(lambda: actor.done or actor.process.dead)

    def _fenced(self, uses: list[Use]) -> None:
        """Take note that a host has nothing any more, unless it is under way."""
        for use in uses:
            pending = any(request.is_pending for request in use.requests)
            if not pending and use.missing_since is None:
                use.is_fenced = True
        self._world.expected.touch()

    def _place(self, volume: str) -> Place | None:
        world, backend = self._world, self._world.backend_of(volume)
        records: Any = Records(_STATE)  # type: ignore[arg-type]
        target, options = world.target(), backend.driver.configuration
        exports = Exports(
            target,
            Layout.of(options),
            records,
            lambda volume: backend.group.activate_lv(volume["name"]),
            backend.host,
            options.taikun_login_patience,
            clock=lambda: world.scheduler.now,
        )
        # What a command has of a back end, as far as a fence uses it.
        stand_in: Any = SimpleNamespace(
            exports=exports,
            layout=exports.layout,
            target=target,
            records=records,
            host=backend.host,
            group=SimpleNamespace(folder=Path(f"/dev/{options.volume_group}")),
        )
        return places.find(stand_in, volume, lambda backend, error: None)

    def damage(self, volume: str, how: str) -> None:
        """Damage the file of a record."""
        id_ = self._world.volumes.get(volume)
        folder = self._world.disk.root.names.get("state")
        if id_ is None or folder is None or isinstance(folder, File):
            return
        name_id = self._world.name_of(id_).removeprefix("volume-")
        names, own = folder.names, f"{name_id}.json"
        file = names.get(own)
        others = [
            one
            for name, one in sorted(names.items())
            if name != own and name.endswith(".json")
        ]
        if not isinstance(file, File) or self._world.has_other_prefix:
            return
        self._world.expected.damage(id_)
        if how == "gone":
            del names[own]
            folder.synced.pop(own, None)
            return
        content = {"empty": b"", "garbage": b'{"form": 1, "export": 7}'}.get(how, b"{}")
        if how == "another's" and others and isinstance(others[0], File):
            content = others[0].content
        file.content = file.synced = content
        file.changed += 1

    def edit(self, volume: str, how: str) -> None:
        """Change the kernel by hand."""
        id_ = self._world.volumes.get(volume)
        if id_ is None:
            return
        name = self._world.name_of(id_)
        kernel = self._world.kernel
        for target in [one for one in kernel.exported() if one.endswith(name)]:
            acls = sorted(kernel.initiators(target))
            first = acls[0] if acls else Initiator("iqn.2026-11.com.example:x")
            step: steps.Step = {
                "target gone": steps.RemoveTarget(),
                "ACL gone": steps.RemoveAcl(first),
                "write protect": steps.SetWriteProtect(first, True),
                "no write protect": steps.SetWriteProtect(first, False),
                "foreign ACL": steps.CreateAcl(Initiator("iqn.2026-11.example:evil")),
            }[how]
            self._world.expected.edit(id_)
            try:
                kernel.take(target, step)
            except ImpossibleStepError:
                continue
