# SPDX-License-Identifier: Apache-2.0
"""Calls of the privileged process that say anything at all harm no other target."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taikun_cinder.privsep import cipher, lio, look
from taikun_cinder.privsep.refusal import KernelRefused, Unseen
from tests.unit.fuzz.strategies import EVIL, PLAIN, SAME_CLOUD

NAME = "iqn.2010-10.org.openstack:volume-1"
NEIGHBOUR = "iqn.2010-10.org.openstack:volume-2"
KEY = cipher.new_key()

#: What the caller may be told, and its process goes on.
_REFUSALS = (KernelRefused, Unseen, ValueError)

_NAMES = st.one_of(
    st.sampled_from([NAME, NAME.upper(), f"{NAME}/../{NEIGHBOUR}", f"{NAME}\n"]),
    EVIL,
    PLAIN,
)
_VALUES = st.one_of(
    st.sampled_from(
        [
            "iqn.2026-11.com.example:a",
            "/dev/vg/volume-1",
            "/dev/vg/../sda",
            "/etc/passwd",
            "192.0.2.11",
            "::1",
            3260,
            0,
            1,
            True,
            "serial",
        ]
    ),
    st.binary(max_size=8),
    PLAIN,
)
_STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(lio.CHANGES)), _VALUES),
    st.tuples(st.sampled_from(sorted(lio.CHANGES)), _VALUES, _VALUES),
    st.tuples(st.sampled_from(sorted(lio.CHANGES)), _VALUES, _VALUES, _VALUES),
    st.sampled_from(sorted(lio.CHANGES)).map(lambda name: (name,)),
    st.lists(_VALUES, min_size=1, max_size=3).map(tuple),
)


_MANY = settings(SAME_CLOUD, max_examples=500)


@pytest.fixture
def neighbour(mounted):
    """The node, with a volume beside the one that is asked about."""
    mounted.add_device("/dev/vg/volume-1")
    lio.apply(NEIGHBOUR, [("create_target",)])
    return lio.read(NEIGHBOUR, KEY)


def _untouched(before):
    assert lio.read(NEIGHBOUR, KEY) == before
    assert set(lio.names("")) <= {NAME, NEIGHBOUR}


@_MANY
@given(target=_NAMES, steps=st.lists(_STEPS, max_size=4))
def test_any_steps_change_nothing_but_their_own_target(neighbour, target, steps):
    with contextlib.suppress(*_REFUSALS):
        lio.apply(target, steps)
    _untouched(neighbour)


@_MANY
@given(target=_NAMES, search=PLAIN, initiators=st.one_of(st.none(), st.lists(_VALUES)))
def test_any_question_is_answered_or_refused(neighbour, target, search, initiators):
    with contextlib.suppress(*_REFUSALS):
        lio.read(target, KEY, search, initiators)
    with contextlib.suppress(*_REFUSALS):
        lio.inspect(target)
    _untouched(neighbour)


@_MANY
@given(prefix=_NAMES, group=_NAMES)
def test_any_prefix_and_group_are_judged(neighbour, prefix, group):
    with contextlib.suppress(*_REFUSALS):
        assert set(lio.names(prefix)) <= {NAME, NEIGHBOUR}
    assert all(isinstance(one, str) for one in lio.refusals(prefix, group))
    with contextlib.suppress(*_REFUSALS):
        look.contents(group)
    _untouched(neighbour)
