# SPDX-License-Identifier: Apache-2.0
"""The ledger counts right, in whatever order Cinder writes its rows."""

import dataclasses

from hypothesis import event, given, settings
from hypothesis import strategies as st

from taikun_cinder.access.connections import Connections
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Attachment, Initiator

HOSTS = tuple(Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
#: The life of an attachment: reserved by the API, granted by the driver, written by
#: the manager, ended by the driver, deleted by the API.
LIFE = ("reserved", "granted", "written", "ended", "deleted")


@dataclasses.dataclass
class Server:
    """One server's attachment in the simulated Cinder."""

    id: str
    initiator: Initiator
    stage: int = 0

    @property
    def row(self):
        shown = LIFE[self.stage] in ("written", "ended")
        return Attachment(
            self.id, "host", self.initiator if shown else None, connected=shown
        )


def _rows(servers):
    return [server.row for server in servers if LIFE[server.stage] != "deleted"]


def _step(ledger, server):
    """Take one attachment a step further; tell the driver's part of it."""
    server.stage += 1
    own = ledger.of(server.initiator)
    if LIFE[server.stage] == "granted":
        return ledger.put(server.initiator, own.grant())
    if LIFE[server.stage] == "ended":
        return ledger.end(server.initiator)
    return ledger


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(HOSTS), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), max_size=30),
)
def test_each_connection_counts_once_at_any_time(hosts, choices):
    servers = [Server(str(n), initiator) for n, initiator in enumerate(hosts)]
    ledger = Ledger()
    for choice in choices:
        server = servers[choice % len(servers)]
        if LIFE[server.stage] == "deleted":
            continue
        ledger = _step(ledger.follow(_rows(servers)), server)
        for initiator in HOSTS:
            true = sum(
                one.initiator == initiator and LIFE[one.stage] in ("granted", "written")
                for one in servers
            )
            assert ledger.follow(_rows(servers)).of(initiator).live == true
    event(f"{len(ledger.holders)} holders at the end")


def test_nothing_is_unshown_when_cinder_has_caught_up():
    servers = [Server("1", HOSTS[0]), Server("2", HOSTS[0]), Server("3", HOSTS[1])]
    ledger = Ledger()
    for _ in range(len(LIFE) - 1):
        for server in servers:
            ledger = _step(ledger.follow(_rows(servers)), server)
    ledger = ledger.follow(_rows(servers))
    assert not ledger.unshown
    assert not ledger.holders


def test_end_in_doubt_is_only_the_last_one_of_several_rows():
    rows = frozenset("ab")
    assert Connections(rows, ended=1).doubtful
    assert not Connections(rows).doubtful
    assert not Connections(rows, ended=2).doubtful
    assert not Connections(rows, granted=1, ended=1).doubtful
    assert not Connections(frozenset("a"), ended=1).doubtful


def test_holders_are_described_for_people():
    ledger = Ledger().follow(
        [
            Attachment("1", "compute1", HOSTS[0], connected=True),
            Attachment("2", "metal1", None, connected=True),
        ]
    )
    ledger = ledger.put(HOSTS[1], Connections().opened())
    assert sorted(ledger.holders.values()) == [
        f"a host with no attachment yet ({HOSTS[1]})",
        f"compute1 ({HOSTS[0]})",
        "metal1 (attached without a connector)",
    ]
