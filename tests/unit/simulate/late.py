# SPDX-License-Identifier: Apache-2.0
"""Lets a change of a privileged process hang, and tells what came of it, as JSON.

In between, its process is killed (``kill``), its client is (``client``), its node loses
its power (``power``), or nothing happens (``nothing``). It changes its own process for
good (``tests.simulate.patches``).
"""

import json
import random
import sys
from collections.abc import Sequence

from tests.simulate import setup

setup.ready()

from taikun_cinder.exception import StepUnfinished, TargetBusy  # noqa: E402
from taikun_cinder.targets.lio.kernel import LostError  # noqa: E402
from taikun_cinder.targets.lio.steps import CreateTarget, CreateTpg  # noqa: E402
from tests.simulate.actors import Process  # noqa: E402
from tests.simulate.decisions import Replay  # noqa: E402
from tests.simulate.node import Privileged  # noqa: E402
from tests.simulate.node_kernel import NodeKernel  # noqa: E402
from tests.simulate.world import World  # noqa: E402

NAME = "iqn.2010-10.org.openstack:volume-1"


class FirstHangs(Replay):
    """The first change of a file that may hang does, but for the fabric's own."""

    def __init__(self) -> None:
        super().__init__({})
        self._left = 2

    def fault(
        self, key: str, ways: Sequence[str], *, mortal: bool, share: float = 1.0
    ) -> str:
        self._left -= "hangs" in ways
        return "hangs" if "hangs" in ways and not self._left else ""


class Story:
    """One client changes a target, and another one looks at it."""

    def __init__(self) -> None:
        self.world = World(FirstHangs(), random.Random(0), NodeKernel)  # noqa: S311
        self.told: dict[str, object] = {}
        self._one, self._other = Process("one", node=True), Process("other")

    def change(self) -> None:
        """Change it by two steps, the first of which hangs."""
        try:
            self.world.kernel.asked().apply(NAME, [CreateTarget(), CreateTpg()])
        except (StepUnfinished, LostError) as error:
            self.told["change"] = type(error).__name__

    def look(self, when: str) -> None:
        """Say what there is."""
        try:
            state = self.world.kernel.asked().read(NAME)
        except TargetBusy:
            self.told[when] = "busy"
        else:
            self.told[when] = [state.target is not None, state.tpg is not None]

    def disturb(self, how: str) -> None:
        """Do what happens meanwhile."""
        scheduler = self.world.scheduler
        processes = {one.process for one in scheduler.actors}
        if how == "kill":
            scheduler.kill(
                next(one for one in processes if isinstance(one, Privileged))
            )
        elif how == "client":
            scheduler.kill(self._one)
        elif how == "power":
            self.world._boot(0)

    def go(self, how: str) -> dict[str, object]:
        """Let it happen; give what was told."""
        scheduler, client = self.world.scheduler, self._other

        def meanwhile() -> None:
            scheduler.sleep(5)
            self.disturb(how)
            scheduler.spawn("looks", client, lambda: self.look("meanwhile"))
            scheduler.sleep(60)
            scheduler.spawn("looks", client, lambda: self.look("afterwards"))

        scheduler.spawn("changes", self._one, self.change, name="one")
        scheduler.spawn("waits", Process("api"), meanwhile, name="other")
        scheduler.run()
        return self.told


told = {how: Story().go(how) for how in ("nothing", "kill", "client", "power")}
sys.stdout.write(json.dumps(told))
