# SPDX-License-Identifier: Apache-2.0
"""There is one writer where one is allowed, in any order of requests (law 4).

The machine is Cinder with servers that are attached, moved and detached, each step in
its own time. The driver keeps all that it knows on disk, so restarts change nothing.
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
from taikun_cinder.access.contents import Content, Look
from taikun_cinder.access.grants import grants
from taikun_cinder.access.guard import LookFirst, judge
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Credentials, Initiator, Mode
from taikun_cinder.access.rules import Guard, RefusedError, Rule, Secondary, decide
from taikun_cinder.access.servers import candidates, uses

INITIATORS = tuple(Initiator(f"iqn.2026-11.com.example:{name}") for name in "abc")
SERVERS = ("one", "two", "three")
LIVE = ("granted", "shown", "told")
LOOKS = (
    Look(),
    Look((Content("ocfs2"),)),
    Look((Content("ext4"),)),
    Look(failure="its disk did not answer"),
)


@dataclasses.dataclass
class Story:
    """The story of one server's attachment, as only the whole of Cinder knows it."""

    id: str
    server: str
    asked: Mode
    in_one: bool  # its row says the mode last
    stage: str = "reserved"
    initiator: Initiator | None = None
    identity: str | None = None
    granted: Mode | None = None
    credentials: Credentials | None = None

    @property
    def attachment(self):
        if self.stage in ("reserved", "granted"):
            return Attachment(
                self.id, "host", None, connected=False, instance_uuid=self.server
            )
        told = self.stage in ("told", "ended")
        return Attachment(
            self.id,
            "host",
            self.initiator,
            True,
            self.identity,
            self.granted or (self.asked if told else Mode.RW),
            self.credentials if told else None,
            self.server,
        )

    @property
    def may(self):
        """The mode that it has in the end."""
        return self.granted or self.asked


class Cinder(RuleBasedStateMachine):
    """Cinder, with a driver that goes by the rules."""

    def __init__(self):
        super().__init__()
        self.stories, self.ledger, self.now, self.made = [], Ledger(), 0, 0

    @initialize(
        secondary=st.sampled_from(Secondary),
        hosts=st.integers(0, 2),
        guard=st.sampled_from(Guard),
        there=st.sampled_from(LOOKS),
    )
    def begin(self, secondary, hosts, guard, there):
        self.rule, self.there = Rule(secondary, hosts, guard), there

    @property
    def attachments(self):
        return [story.attachment for story in self.stories]

    def _look(self):
        self.now += 1
        self.ledger = self.ledger.prune(self.attachments)
        return self.attachments

    def _with(self, *stages):
        return [story for story in self.stories if story.stage in stages]

    @rule(
        server=st.sampled_from(SERVERS),
        asked=st.sampled_from(Mode),
        in_one=st.booleans(),
    )
    def reserve(self, server, asked, in_one):
        if len(self.stories) < 5:
            self.made += 1
            self.stories.append(Story(f"{self.made}", server, asked, in_one))

    @rule(
        server=st.sampled_from(SERVERS),
        asked=st.sampled_from(Mode),
        in_one=st.booleans(),
        initiator=st.sampled_from(INITIATORS),
        stage=st.sampled_from(LIVE),
    )
    def attach(self, server, asked, in_one, initiator, stage):
        if len(self.stories) < 5:
            self.reserve(server, asked, in_one)
            story = self.stories[-1]
            self._connect(story, initiator)
            if story.stage == "granted":
                story.stage = stage

    @precondition(lambda self: self._with("reserved"))
    @rule(data=st.data(), initiator=st.sampled_from(INITIATORS))
    def connect(self, data, initiator):
        self._connect(data.draw(st.sampled_from(self._with("reserved"))), initiator)

    def _connect(self, story, initiator):
        attachments = self._look()
        servers = candidates(attachments, self.ledger, initiator)
        assert story.server in servers
        asked = None if story.in_one else story.asked
        try:
            mode = self._decide(initiator, servers, asked, attachments)
        except RefusedError:
            event("refused")
            self.stories.remove(story)
            return
        identity = f"mark {story.id}"
        server = story.server if len(servers) == 1 else identity
        self.ledger = self.ledger.attach(
            attachments, initiator, identity, mode, self.now, server
        )
        story.initiator, story.identity = initiator, identity
        story.stage, story.granted = "granted", mode
        story.credentials = {
            grant.initiator: grant.credentials
            for grant in grants(attachments, self.ledger)
        }[initiator]

    def _decide(self, initiator, servers, asked, attachments):
        others = tuple(uses(attachments, self.ledger))
        mode = decide(self.rule, initiator, servers, asked, others)
        guard = self.rule.guard
        try:
            return judge(guard, servers, mode, others, None).mode
        except LookFirst:
            event("looked at")
            verdict = judge(guard, servers, mode, others, self.there)
            assert guard is not Guard.OFF
            assert verdict.look is self.there
            return verdict.mode

    @precondition(lambda self: self._with("granted", "shown"))
    @rule(data=st.data())
    def write(self, data):
        story = data.draw(st.sampled_from(self._with("granted", "shown")))
        story.stage = LIVE[LIVE.index(story.stage) + 1]

    @precondition(lambda self: self._with("told"))
    @rule(data=st.data())
    def detach(self, data):
        story = data.draw(st.sampled_from(self._with("told")))
        attachments = self._look()
        self.ledger = self.ledger.detach(
            attachments, story.initiator, story.identity, self.now
        )
        story.stage = "ended"

    @precondition(lambda self: self._with("ended", "reserved"))
    @rule(data=st.data())
    def delete(self, data):
        story = data.draw(st.sampled_from(self._with("ended", "reserved")))
        self.stories.remove(story)

    @rule()
    def look(self):
        self._look()

    def _live(self):
        return self._with(*LIVE)

    @invariant()
    def one_server_writes_where_one_may(self):
        writers = {story.server for story in self._live() if story.may is Mode.RW}
        if getattr(self, "rule", Rule()).secondary is not Secondary.RW:
            assert len(writers) <= 1

    @invariant()
    def one_server_writes_where_what_is_there_is_for_one(self):
        guard = getattr(self, "rule", Rule()).guard
        if guard in (Guard.RO, Guard.DENY) and (
            self.there.failure or self.there.for_one_server
        ):
            writers = {story.server for story in self._live() if story.may is Mode.RW}
            assert len(writers) <= 1

    @invariant()
    def one_server_has_it_where_others_are_denied(self):
        if getattr(self, "rule", Rule()).secondary is Secondary.DENY:
            assert len({story.server for story in self._live()}) <= 1

    @invariant()
    def hosts_are_no_more_than_allowed(self):
        limit = getattr(self, "rule", Rule()).max_hosts
        # A server that moves has several, and only one of them stays.
        last = {story.server: story.initiator for story in self._live()}
        assert not limit or len(set(last.values())) <= limit

    @invariant()
    def server_has_two_hosts_at_most_where_one_may_have_it(self):
        hosts: dict[str, set[Initiator | None]] = {}
        for story in self._live():
            hosts.setdefault(story.server, set()).add(story.initiator)
        rule = getattr(self, "rule", Rule())
        if rule.secondary is Secondary.DENY or rule.max_hosts == 1:
            assert max(map(len, hosts.values()), default=0) <= 2

    @invariant()
    def hosts_may_what_their_attachments_may(self):
        ledger = self.ledger.prune(self.attachments)
        kernel = {
            grant.initiator: grant.mode for grant in grants(self.attachments, ledger)
        }
        may: dict[Initiator, set[Mode]] = {}
        for story in self._live():
            known = story.granted or (story.asked if story.stage == "told" else Mode.RO)
            may.setdefault(story.initiator, set()).add(known)
        for initiator, modes in may.items():
            assert kernel[initiator] is (Mode.RW if Mode.RW in modes else Mode.RO)


TestCinder = Cinder.TestCase
TestCinder.settings = settings(max_examples=300, stateful_step_count=30)
