# SPDX-License-Identifier: Apache-2.0
"""Initiators are compared without case."""

from taikun_cinder.access.model import Initiator


def test_initiator_is_the_same_in_any_case():
    lower = Initiator("iqn.2026-11.com.example:host")
    assert lower == Initiator(" IQN.2026-11.COM.Example:Host")
    assert len({lower, Initiator("IQN.2026-11.COM.EXAMPLE:HOST")}) == 1


def test_different_initiators_differ():
    assert Initiator("iqn.2026-11.com.example:a") != Initiator(
        "iqn.2026-11.com.example:b"
    )
