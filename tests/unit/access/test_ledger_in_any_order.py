# SPDX-License-Identifier: Apache-2.0
"""Whatever the order of Cinder's writes, its failures and its restarts (laws 1 to 3).

The machine is Cinder: several API workers that reserve, attach, write and delete rows,
each step in its own time; a manager that may die between any two; and a driver that
does nothing but make the kernel's ACLs what ``grants`` says.
"""

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from taikun_cinder.access.ledger import Ledger, grants
from taikun_cinder.access.model import HostState, Mode
from tests.unit.access.attachment import HOSTS, IN_TREE, STORAGE, Story


class Cinder(RuleBasedStateMachine):
    """Cinder, with a driver that trusts the rows and its ledger."""

    def __init__(self):
        super().__init__()
        self.attachments = []
        self.ledger = Ledger()
        self.kernel = {}
        self.sessions = set()
        self.used = {IN_TREE}
        self.lost = set()  # hosts with a grant that nobody took
        self.own = False
        self.reserved = 0
        self.now = 0.0

    # What the driver does.

    @property
    def rows(self):
        return [one.row for one in self.attachments]

    def _look(self):
        self.now += 1
        self.ledger = self.ledger.prune(self.rows)
        return self.rows

    def _ensure(self):
        self.kernel = {one.initiator: one for one in grants(self.rows, self.ledger)}
        self.sessions &= self.kernel.keys()

    def _hosts(self):
        return {
            who: HostState(
                grant.mode, grant.credentials, connected=who in self.sessions
            )
            for who, grant in self.kernel.items()
        }

    def _grant(self, host, identity, mode):
        rows, before = self._look(), self.kernel
        self.ledger = self.ledger.attach(rows, host, identity, mode, self.now)
        self._ensure()
        credentials = self.kernel[host].credentials
        if host not in before:
            event("a host had no access")
            assert credentials not in self.used
        self.used.add(credentials)
        return credentials

    # What Cinder does.

    @initialize(hosts=st.lists(st.sampled_from(HOSTS), max_size=3), twins=st.booleans())
    def take_over(self, hosts, twins):
        for number, host in enumerate(hosts):
            identity = f"connector {host if twins else number}"
            self.attachments.append(
                Story(
                    f"old-{number}", host, Mode.RW, "told", identity, IN_TREE, IN_TREE
                )
            )
        self._ensure()

    def _any(self, data, *stages):
        found = [one for one in self.attachments if one.stage in stages]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(host=st.sampled_from(HOSTS), mode=st.sampled_from(Mode))
    def reserve(self, host, mode):
        if len(self.attachments) < 6:
            self.reserved += 1
            self.attachments.append(Story(f"{self.reserved}", host, mode))

    @rule(data=st.data(), fails=st.booleans())
    def initialize_connection(self, data, fails):
        if one := self._any(data, "reserved"):
            identity = f"mark {one.id} {self.now}"
            if fails:
                # Whatever was done for it before the failure is undone from ledger.
                self._look()
                self._ensure()
                return
            one.handed = self._grant(one.host, identity, one.mode)
            one.identity, one.stage = identity, "granted"

    @rule(data=st.data())
    def write_connector(self, data):
        if one := self._any(data, "granted"):
            one.stage = "shown"

    @rule(data=st.data())
    def write_connection_info(self, data):
        if one := self._any(data, "shown"):
            one.stage, one.written, one.told_to = "told", one.handed, one.host

    @rule(data=st.data())
    def fail_to_write_connector(self, data):
        if one := self._any(data, "granted"):
            one.stage = "reserved"
            self.lost.add(one.host)

    @rule(data=st.data(), host=st.sampled_from(HOSTS))
    def update_again_with_another_connector(self, data, host):
        one = self._any(data, "told")
        if one and host not in {other.host for other in self.attachments if other.live}:
            identity = f"mark {one.id} {self.now}"
            one.handed = self._grant(host, identity, one.mode)
            one.identity, one.host, one.stage = identity, host, "shown"

    @rule(data=st.data(), polite=st.booleans())
    def terminate_connection(self, data, polite):
        one = self._any(data, "told", "told", "ended")
        if one is None:
            return
        if polite and not self._live(one.host, one):
            self.sessions.discard(one.host)
        rows = self._look()
        self.ledger = self.ledger.detach(rows, one.host, one.identity, self.now)
        self._ensure()
        one.stage, one.forgotten = "ended", False
        rest = [
            other
            for other in self.attachments
            if other.host == one.host and other.stage != "reserved"
        ]
        sure = all(
            other.stage == "ended"
            and not other.forgotten
            and (other is one or other.identity.startswith("mark"))
            for other in rest
        )
        twins = [other for other in rest if other.identity == one.identity]
        if sure and len(twins) == 1 and one.host not in self.lost:
            event("the last detach of a host")
            assert one.host not in self.kernel

    @rule(data=st.data())
    def delete_row(self, data):
        if one := self._any(data, "ended"):
            self.attachments.remove(one)

    @rule(data=st.data())
    def delete_reserved(self, data):
        if one := self._any(data, "reserved"):
            self.attachments.remove(one)

    @rule(host=st.sampled_from(HOSTS))
    def log_in(self, host):
        if host in self.kernel:
            self.sessions.add(host)

    # Cinder's own connections: no row, and a connector without its mark at the end.

    @precondition(lambda self: not self.own)
    @rule()
    def start_backup(self):
        self._grant(STORAGE, f"mark backup {self.now}", Mode.RW)
        self.sessions.add(STORAGE)
        self.own = True

    @precondition(lambda self: self.own)
    @rule()
    def end_backup(self):
        self.own = False
        rows = self._look()
        self.ledger = self.ledger.detach(rows, STORAGE, "connector", self.now)
        self._ensure()
        assert STORAGE not in self.kernel

    # What happens to the service.

    @rule()
    def restart(self):
        for one in self.attachments:
            one.forgotten |= one.stage == "ended"
            if one.stage == "granted":
                one.stage = "reserved"  # the call was never answered
                self.lost.add(one.host)
        self.ledger = Ledger().adopt(self.rows, self._hosts(), self.now)
        self._ensure()

    @rule()
    def reconcile(self):
        rows = self._look()
        before = min(
            (
                flight.since
                for flight in self.ledger.connections
                if any(
                    one.live and one.identity == flight.identity
                    for one in self.attachments
                )
            ),
            default=self.now + 1,
        )
        age = self.now - before
        self.ledger = self.ledger.expire(rows, self.sessions, self.now, age, age)
        for one in self.attachments:
            one.forgotten |= one.stage == "ended"
        self._ensure()

    # What must be true whenever the driver has done something.

    def _live(self, host, but=None):
        return [
            one
            for one in self.attachments
            if one.host == host and one.live and one is not but
        ]

    @invariant()
    def attached_hosts_have_what_they_were_told(self):
        for one in self.attachments:
            if one.live:
                assert self.kernel[one.host].credentials == one.handed
                if one.mode is Mode.RW:
                    assert self.kernel[one.host].mode is Mode.RW

    @invariant()
    def running_backup_has_access(self):
        assert STORAGE in self.kernel or not self.own

    @invariant()
    def nobody_shares_credentials_that_we_made(self):
        ours = [
            one.credentials
            for one in self.kernel.values()
            if one.credentials != IN_TREE
        ]
        assert len(set(ours)) == len(ours)

    def teardown(self):
        """Once Cinder has written everything down, one reconcile is enough."""
        self.attachments = [one for one in self.attachments if one.stage != "ended"]
        for one in self.attachments:
            if one.stage in ("granted", "shown"):
                one.stage, one.written, one.told_to = "told", one.handed, one.host
        self.sessions -= {host for host in HOSTS if not self._live(host)}
        rows = self._look()
        self.ledger = self.ledger.expire(rows, self.sessions, self.now + 1, 0, 0)
        self._ensure()
        expected = {one.host for one in self.attachments if one.live}
        assert self.kernel.keys() == expected | ({STORAGE} if self.own else set())
        for one in self.kernel.values():
            modes = {other.mode for other in self._live(one.initiator)}
            assert not modes or one.mode is (Mode.RW if Mode.RW in modes else Mode.RO)


TestCinder = Cinder.TestCase
TestCinder.settings = settings(max_examples=200, stateful_step_count=40)
