# SPDX-License-Identifier: Apache-2.0
"""A connection is told from another one of the same host by its connector."""

import datetime
import json

from taikun_cinder.access.identity import MADE_FOR, identity, is_made_for, mark
from taikun_cinder.access.model import Initiator

CONNECTOR = {"initiator": "iqn.2026-11.com.example:a", "host": "compute1"}


def test_mark_tells_connections_of_one_host_apart():
    first, second = dict(CONNECTOR), dict(CONNECTOR)
    assert mark(first) != mark(second)


def test_mark_comes_back_with_what_cinder_stored():
    connector = dict(CONNECTOR)
    marked = mark(connector)
    assert identity(json.loads(json.dumps(connector))) == marked


def test_mark_is_new_for_each_connection_of_the_same_connector():
    connector = dict(CONNECTOR)
    first = mark(connector)
    assert mark(connector) != first


def test_unmarked_connectors_are_known_by_all_that_they_say():
    assert identity(CONNECTOR) == identity(dict(reversed(CONNECTOR.items())))
    assert identity(CONNECTOR) != identity(CONNECTOR | {"mountpoint": "/dev/vdb"})


def test_connector_may_say_what_is_no_plain_value():
    odd = CONNECTOR | {"since": datetime.date(2026, 11, 28)}
    assert identity(odd) == identity(dict(odd)) != identity(CONNECTOR)


def test_connector_without_an_initiator_has_what_was_made_for_none():
    ours = {"host": "compute1"}
    mark(ours)
    assert is_made_for(None, ours, {})
    assert not is_made_for(None, ours, {MADE_FOR: CONNECTOR["initiator"]})


def test_connection_info_of_another_connector_is_not_believed():
    ours = dict(CONNECTOR)
    mark(ours)
    host = Initiator(CONNECTOR["initiator"])
    assert is_made_for(host, ours, {MADE_FOR: "IQN.2026-11.com.example:A"})
    assert not is_made_for(host, ours, {MADE_FOR: "iqn.2026-11.com.example:b"})
    assert not is_made_for(host, ours, {})
    assert is_made_for(host, CONNECTOR, {})
    assert not is_made_for(host, CONNECTOR, {MADE_FOR: CONNECTOR["initiator"]})
