# SPDX-License-Identifier: Apache-2.0
"""One writer where one is allowed, whatever comes together (law 4).

The machine is Cinder with servers that are attached, moved and detached, each step of
each in its own time. The driver has what it has on disk, so restarts change nothing.
"""

import dataclasses

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.ledger import Ledger, grants
from taikun_cinder.access.model import Credentials, Initiator, Mode
from taikun_cinder.access.rules import RefusedError, Rule, Secondary, decide
from taikun_cinder.access.servers import candidates, uses

HOSTS = tuple(Initiator(f"iqn.2026-11.com.example:{name}") for name in "abc")
SERVERS = ("one", "two", "three")
LIVE = ("granted", "shown", "told")


@dataclasses.dataclass
class Story:
    """The story of one server's attachment, as only the whole of Cinder knows it."""

    id: str
    server: str
    asked: Mode
    in_one: bool  # its row says the mode last
    stage: str = "reserved"
    host: Initiator | None = None
    identity: str | None = None
    granted: Mode | None = None
    credentials: Credentials | None = None

    @property
    def row(self):
        if self.stage in ("reserved", "granted"):
            return Attachment(
                self.id, "host", None, connected=False, instance_uuid=self.server
            )
        told = self.stage in ("told", "ended")
        return Attachment(
            self.id,
            "host",
            self.host,
            True,
            self.identity,
            self.granted or (self.asked if told else Mode.RW),
            self.credentials if told else None,
            self.server,
        )

    @property
    def may(self):
        """What it may do in the end."""
        return self.granted or self.asked


class Cinder(RuleBasedStateMachine):
    """Cinder, with a driver that goes by the rules."""

    def __init__(self):
        super().__init__()
        self.attachments, self.ledger, self.now, self.made = [], Ledger(), 0, 0

    @initialize(secondary=st.sampled_from(Secondary), hosts=st.integers(0, 2))
    def begin(self, secondary, hosts):
        self.rule = Rule(secondary, hosts)

    @property
    def rows(self):
        return [one.row for one in self.attachments]

    def _look(self):
        self.now += 1
        self.ledger = self.ledger.prune(self.rows)
        return self.rows

    def _with(self, *stages):
        return [one for one in self.attachments if one.stage in stages]

    @rule(
        server=st.sampled_from(SERVERS),
        asked=st.sampled_from(Mode),
        in_one=st.booleans(),
    )
    def reserve(self, server, asked, in_one):
        if len(self.attachments) < 5:
            self.made += 1
            self.attachments.append(Story(f"{self.made}", server, asked, in_one))

    @rule(
        server=st.sampled_from(SERVERS),
        asked=st.sampled_from(Mode),
        in_one=st.booleans(),
        host=st.sampled_from(HOSTS),
        stage=st.sampled_from(LIVE),
    )
    def attach(self, server, asked, in_one, host, stage):
        if len(self.attachments) < 5:
            self.reserve(server, asked, in_one)
            one = self.attachments[-1]
            self._connect(one, host)
            if one.stage == "granted":
                one.stage = stage

    @precondition(lambda self: self._with("reserved"))
    @rule(data=st.data(), host=st.sampled_from(HOSTS))
    def connect(self, data, host):
        self._connect(data.draw(st.sampled_from(self._with("reserved"))), host)

    def _connect(self, one, host):
        rows = self._look()
        servers = candidates(rows, self.ledger, host)
        assert one.server in servers
        asked = None if one.in_one else one.asked
        try:
            mode = decide(
                self.rule, host, servers, asked, tuple(uses(rows, self.ledger))
            )
        except RefusedError:
            event("refused")
            self.attachments.remove(one)
            return
        identity = f"mark {one.id}"
        server = one.server if len(servers) == 1 else identity
        self.ledger = self.ledger.attach(rows, host, identity, mode, self.now, server)
        one.host, one.identity, one.stage, one.granted = host, identity, "granted", mode
        one.credentials = {
            grant.initiator: grant.credentials for grant in grants(rows, self.ledger)
        }[host]

    @precondition(lambda self: self._with("granted", "shown"))
    @rule(data=st.data())
    def write(self, data):
        one = data.draw(st.sampled_from(self._with("granted", "shown")))
        one.stage = LIVE[LIVE.index(one.stage) + 1]

    @precondition(lambda self: self._with("told"))
    @rule(data=st.data())
    def detach(self, data):
        one = data.draw(st.sampled_from(self._with("told")))
        rows = self._look()
        self.ledger = self.ledger.detach(rows, one.host, one.identity, self.now)
        one.stage = "ended"

    @precondition(lambda self: self._with("ended", "reserved"))
    @rule(data=st.data())
    def delete(self, data):
        one = data.draw(st.sampled_from(self._with("ended", "reserved")))
        self.attachments.remove(one)

    @rule()
    def look(self):
        self._look()

    def _live(self):
        return self._with(*LIVE)

    @invariant()
    def one_server_writes_where_one_may(self):
        writers = {one.server for one in self._live() if one.may is Mode.RW}
        if getattr(self, "rule", Rule()).secondary is not Secondary.RW:
            assert len(writers) <= 1

    @invariant()
    def one_server_has_it_where_others_are_denied(self):
        if getattr(self, "rule", Rule()).secondary is Secondary.DENY:
            assert len({one.server for one in self._live()}) <= 1

    @invariant()
    def hosts_are_no_more_than_allowed(self):
        limit = getattr(self, "rule", Rule()).max_hosts
        # A server that moves has several, and only one of them stays.
        last = {one.server: one.host for one in self._live()}
        assert not limit or len(set(last.values())) <= limit

    @invariant()
    def hosts_may_what_their_attachments_may(self):
        ledger = self.ledger.prune(self.rows)
        kernel = {one.initiator: one.mode for one in grants(self.rows, ledger)}
        may: dict[Initiator, set[Mode]] = {}
        for one in self._live():
            known = one.granted or (one.asked if one.stage == "told" else Mode.RO)
            may.setdefault(one.host, set()).add(known)
        for host, modes in may.items():
            assert kernel[host] is (Mode.RW if Mode.RW in modes else Mode.RO)


TestCinder = Cinder.TestCase
TestCinder.settings = settings(max_examples=300, stateful_step_count=30)
