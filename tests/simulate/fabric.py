# SPDX-License-Identifier: Apache-2.0
"""The sessions of hosts: what os-brick and open-iscsi do."""

import contextlib
from collections.abc import Mapping

from taikun_cinder.access.model import Credentials
from tests.contract.memory import LoginRefusedError
from tests.simulate.expected import Expected
from tests.simulate.kernels import SimulatedKernel
from tests.simulate.model import Host, Use
from tests.simulate.schedule import Scheduler
from tests.simulate.tables import Values


class Fabric:
    """The network between hosts and the storage node.

    Args:
        kernel: the storage node's.
        scheduler: has the turns.
        hosts: all, by name.
        expected: who should have access.

    Attributes:
        by_hand: how often a host had to be logged out by hand, before it got in.
    """

    def __init__(
        self,
        kernel: SimulatedKernel,
        scheduler: Scheduler,
        hosts: Mapping[str, Host],
        expected: Expected,
    ) -> None:
        self._kernel, self._scheduler = kernel, scheduler
        self._hosts, self._expected = hosts, expected
        self.by_hand = 0

    def log_in(self, use: Use, information: Values) -> None:
        """Let a use's host log in, or use the session that it has.

        Raises:
            LoginRefusedError: it is not let in.
        """
        host, target = use.host, str(information["target_iqn"])
        pair = Credentials(information["auth_username"], information["auth_password"])
        known = host.sessions.get(target)
        use.lun = int(information["target_lun"])
        if known is None or not known[0].alive:
            # An initiator whose session was ended goes on with the pair that it has.
            try:
                self._log_in(host, target, known[1] if known else pair)
            except LoginRefusedError:
                if known is None:
                    raise
                # As the page Limitations says, it has to be logged out by hand.
                self.by_hand += 1
                self._log_in(host, target, pair)
        use.session = host.sessions[target][0].other(use.lun)
        use.boots = self._kernel.boots
        self._expected.touch()

    def _log_in(self, host: Host, target: str, pair: Credentials) -> None:
        session = self._kernel.login(target, host.initiator, pair)
        self._scheduler.tell(f"{host.name} logs in")
        host.sessions[target] = session, pair
        for use in self._expected.uses:
            if use.session and use.host is host and use.session.name == target:
                use.session, use.boots = session.other(use.lun), self._kernel.boots

    def log_out(self, use: Use) -> None:
        """Let a use's host go, if no other use there needs the session."""
        session, use.session = use.session, None
        others = [
            one
            for one in self._expected.uses
            if one.host is use.host and one.volume == use.volume and one.session
        ]
        if session is None or others:
            return
        found = use.host.sessions.pop(session.name, None)
        if found is not None and found[0].alive:
            found[0].logout()
            self._scheduler.tell(f"{use.host.name} logs out")

    def log_out_by_hand(self, use: Use) -> None:
        """End what a use's host has of its volume, as an operator does."""
        sessions = use.host.sessions
        for target in [one for one in sessions if use.volume in one]:
            session, _ = sessions.pop(target)
            if session.alive:
                session.logout()
        self._expected.touch()

    def log_in_again(self) -> None:
        """Let all hosts that lost their sessions try again, with the pairs they had."""
        for host in [one for one in self._hosts.values() if not one.is_down]:
            for target, (session, pair) in list(host.sessions.items()):
                if not session.alive:
                    with contextlib.suppress(LoginRefusedError):
                        self._log_in(host, target, pair)
        self._expected.touch()
