# SPDX-License-Identifier: Apache-2.0
"""Cinder's writes, failures and restarts in any order break no law (laws 1 to 3).

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

from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import HostState, Mode
from tests.unit.access.story import IN_TREE, INITIATORS, STORAGE, Story


class Cinder(RuleBasedStateMachine):
    """Cinder, with a driver that trusts the attachments and its ledger."""

    def __init__(self):
        super().__init__()
        self.stories = []
        self.ledger = Ledger()
        self.kernel = {}
        self.sessions = set()
        self.used = {IN_TREE}
        self.lost = set()  # initiators whose answer was lost
        self.cut_off = {}  # and what they logged in with
        self.own = False
        self.reserved = 0
        self.now = 0.0

    # What the driver does.

    @property
    def attachments(self):
        return [story.attachment for story in self.stories]

    def _look(self):
        self.now += 1
        self.ledger = self.ledger.prune(self.attachments)
        return self.attachments

    def _ensure(self):
        before = self.kernel
        self.kernel = {
            grant.initiator: grant for grant in grants(self.attachments, self.ledger)
        }
        cut_off = {
            initiator: before[initiator].credentials
            for initiator in self.sessions - self.kernel.keys()
        }
        self.ledger = self.ledger.keep(cut_off, {})
        self.cut_off |= {
            initiator: pair for initiator, pair in cut_off.items() if pair != IN_TREE
        }
        self.sessions &= self.kernel.keys()

    def _host_states(self):
        return {
            initiator: HostState(
                grant.mode, grant.credentials, connected=initiator in self.sessions
            )
            for initiator, grant in self.kernel.items()
        }

    def _grant(self, initiator, identity, mode):
        attachments, before = self._look(), self.kernel
        self.ledger = self.ledger.attach(
            attachments, initiator, identity, mode, self.now
        )
        self._ensure()
        credentials = self.kernel[initiator].credentials
        if initiator not in before and initiator in self.cut_off:
            event("a host was cut off while it was logged in")
            assert credentials == self.cut_off[initiator]
        elif initiator not in before:
            event("a host had no access")
            assert credentials not in self.used
        self.cut_off.pop(initiator, None)
        self.used.add(credentials)
        return credentials

    # What Cinder does.

    @initialize(
        initiators=st.lists(st.sampled_from(INITIATORS), max_size=3),
        twins=st.booleans(),
    )
    def take_over(self, initiators, twins):
        for number, initiator in enumerate(initiators):
            identity = f"connector {initiator if twins else number}"
            self.stories.append(
                Story(
                    f"old-{number}",
                    initiator,
                    Mode.RW,
                    "told",
                    identity,
                    IN_TREE,
                    IN_TREE,
                )
            )
        self._ensure()

    def _any(self, data, *stages):
        found = [story for story in self.stories if story.stage in stages]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(initiator=st.sampled_from(INITIATORS), mode=st.sampled_from(Mode))
    def reserve(self, initiator, mode):
        if len(self.stories) < 6:
            self.reserved += 1
            self.stories.append(Story(f"{self.reserved}", initiator, mode))

    @rule(data=st.data(), fails=st.booleans())
    def initialize_connection(self, data, fails):
        if story := self._any(data, "reserved"):
            identity = f"mark {story.id} {self.now}"
            if fails:
                # Everything done before the failure is undone by the ledger.
                self._look()
                self._ensure()
                return
            story.handed = self._grant(story.initiator, identity, story.mode)
            story.identity, story.stage = identity, "granted"

    @rule(data=st.data())
    def write_connector(self, data):
        if story := self._any(data, "granted"):
            story.stage = "shown"

    @rule(data=st.data())
    def write_connection_info(self, data):
        if story := self._any(data, "shown"):
            story.stage = "told"
            story.written, story.told_to = story.handed, story.initiator

    @rule(data=st.data())
    def fail_to_write_connector(self, data):
        if story := self._any(data, "granted"):
            story.stage = "reserved"
            self.lost.add(story.initiator)

    @rule(data=st.data(), initiator=st.sampled_from(INITIATORS))
    def update_again_with_another_connector(self, data, initiator):
        story = self._any(data, "told")
        if story and initiator not in {
            other.initiator for other in self.stories if other.live
        }:
            identity = f"mark {story.id} {self.now}"
            story.handed = self._grant(initiator, identity, story.mode)
            story.identity, story.initiator, story.stage = identity, initiator, "shown"

    @rule(data=st.data(), polite=st.booleans())
    def terminate_connection(self, data, polite):
        story = self._any(data, "told", "told", "ended")
        if story is None:
            return
        if polite and not self._live(story.initiator, story):
            self.sessions.discard(story.initiator)
        attachments = self._look()
        self.ledger = self.ledger.detach(
            attachments, story.initiator, story.identity, self.now
        )
        self._ensure()
        story.stage, story.forgotten = "ended", False
        rest = [
            other
            for other in self.stories
            if other.initiator == story.initiator and other.stage != "reserved"
        ]
        sure = all(
            other.stage == "ended"
            and not other.forgotten
            and (other is story or other.identity.startswith("mark"))
            for other in rest
        )
        twins = [other for other in rest if other.identity == story.identity]
        if sure and len(twins) == 1 and story.initiator not in self.lost:
            event("the last detach of a host")
            assert story.initiator not in self.kernel

    @rule(data=st.data())
    def delete_attachment(self, data):
        if story := self._any(data, "ended"):
            self.stories.remove(story)

    @rule(data=st.data())
    def delete_reserved(self, data):
        if story := self._any(data, "reserved"):
            self.stories.remove(story)

    @rule(initiator=st.sampled_from(INITIATORS))
    def log_in(self, initiator):
        if initiator in self.kernel:
            self.sessions.add(initiator)

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
        attachments = self._look()
        self.ledger = self.ledger.detach(attachments, STORAGE, "connector", self.now)
        self._ensure()
        assert STORAGE not in self.kernel

    # What happens to the service.

    @rule()
    def restart(self):
        for story in self.stories:
            story.forgotten |= story.stage == "ended"
            if story.stage == "granted":
                story.stage = "reserved"  # the call was never answered
                self.lost.add(story.initiator)
        # A session that no attachment explains keeps its access until a reconcile.
        self.lost |= {host for host in self.sessions if not self._live(host)}
        self.ledger = Ledger().adopt(self.attachments, self._host_states(), self.now)
        self.cut_off = {}
        self._ensure()

    @rule()
    def reconcile(self):
        attachments = self._look()
        before = min(
            (
                connection.since
                for connection in self.ledger.connections
                if any(
                    story.live and story.identity == connection.identity
                    for story in self.stories
                )
            ),
            default=self.now + 1,
        )
        age = self.now - before
        self.ledger = self.ledger.expire(attachments, self.sessions, self.now, age, age)
        for story in self.stories:
            story.forgotten |= story.stage == "ended"
        self._ensure()

    # What must be true whenever the driver has done something.

    def _live(self, initiator, but=None):
        return [
            story
            for story in self.stories
            if story.initiator == initiator and story.live and story is not but
        ]

    @invariant()
    def attached_hosts_have_what_they_were_told(self):
        for story in self.stories:
            if story.live:
                assert self.kernel[story.initiator].credentials == story.handed
                if story.mode is Mode.RW:
                    assert self.kernel[story.initiator].mode is Mode.RW

    @invariant()
    def running_backup_has_access(self):
        assert STORAGE in self.kernel or not self.own

    @invariant()
    def nobody_shares_credentials_that_we_made(self):
        ours = [
            grant.credentials
            for grant in self.kernel.values()
            if grant.credentials != IN_TREE
        ]
        assert len(set(ours)) == len(ours)

    def teardown(self):
        """Once Cinder has written everything down, one reconcile is enough."""
        self.stories = [story for story in self.stories if story.stage != "ended"]
        for story in self.stories:
            if story.stage in ("granted", "shown"):
                story.stage = "told"
                story.written, story.told_to = story.handed, story.initiator
        self.sessions -= {
            initiator for initiator in INITIATORS if not self._live(initiator)
        }
        attachments = self._look()
        self.ledger = self.ledger.expire(attachments, self.sessions, self.now + 1, 0, 0)
        self._ensure()
        expected = {story.initiator for story in self.stories if story.live}
        assert self.kernel.keys() == expected | ({STORAGE} if self.own else set())
        for grant in self.kernel.values():
            modes = {other.mode for other in self._live(grant.initiator)}
            assert not modes or grant.mode is (Mode.RW if Mode.RW in modes else Mode.RO)


TestCinder = Cinder.TestCase
TestCinder.settings = settings(max_examples=200, stateful_step_count=40)
