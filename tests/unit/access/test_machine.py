# SPDX-License-Identifier: Apache-2.0
"""Two machines with one initiator are told apart, and two services of one are not."""

import pytest

from taikun_cinder.access.machine import UNKNOWN, Machine

ONE = "4c4c4544-0042-3510-8048-b8c04f4a3832"
TWO = "4c4c4544-0042-3510-8048-b8c04f4a3833"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("compute1", "192.0.2.1", ONE), ("compute2", "192.0.2.2", TWO)),
        # Cloned with the host's name and its address.
        (("compute1", "192.0.2.1", ONE), ("compute1", "192.0.2.1", TWO)),
        (("compute1", "192.0.2.1"), ("compute2", "192.0.2.2")),
        (("compute1", "192.0.2.1", ONE), ("compute2.example.com", "192.0.2.2")),
        (("192.0.2.1", "192.0.2.1"), ("192.0.2.2", "192.0.2.2")),
    ],
)
def test_different_machines(first, second):
    assert Machine(*first).is_another(Machine(*second))
    assert Machine(*second).is_another(Machine(*first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Each service has an option for its host's name and its address.
        (("compute1", "192.0.2.1", ONE), ("storage", "192.0.2.2", ONE)),
        (("compute1", "192.0.2.1", ONE), ("compute1", "192.0.2.1", ONE.upper())),
        (("compute1", "192.0.2.1"), ("Compute1.example.com", "192.0.2.2")),
        (("compute1", "192.0.2.1"), ("storage", "192.0.2.1")),
        (("compute1", "2001:db8::1"), ("storage", "2001:DB8:0::1")),
        (("compute1", "192.0.2.1", ONE), ("compute1", "192.0.2.2")),
        # By hand, or by a client that says little.
        (("compute1", "192.0.2.1", ONE), ("", "", "")),
        (("compute1", "", ONE), ("compute2", "", "")),
        (("compute1",), ("compute2",)),
        (("", "192.0.2.1"), ("compute2", "192.0.2.2")),
    ],
)
def test_one_machine_or_nobody_knows(first, second):
    assert not Machine(*first).is_another(Machine(*second))
    assert not Machine(*second).is_another(Machine(*first))


@pytest.mark.parametrize(
    "nonsense",
    [
        "Not Settable",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009",
    ],
)
def test_firmware_without_a_uuid_of_its_own_decides_nothing(nonsense):
    first = Machine("compute1", "192.0.2.1", nonsense)
    assert not first.is_another(Machine("compute1", "192.0.2.1", ONE))
    same = Machine("compute2", "192.0.2.2", nonsense)
    assert first.is_another(same)


def test_machine_is_told_in_words():
    told = str(Machine("compute1", "192.0.2.1", ONE))
    assert told == f"compute1 (ip 192.0.2.1, system uuid {ONE})"
    assert str(UNKNOWN) == "(unnamed)"


def test_what_one_service_does_not_say_another_may_have_said():
    known = Machine("compute1", "192.0.2.1", ONE)
    assert Machine("storage").known_by(known) == known
    assert known.known_by(Machine("storage")) == Machine("storage", "192.0.2.1", ONE)
