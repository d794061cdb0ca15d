# SPDX-License-Identifier: Apache-2.0
"""A finding is one sentence, with its host if it has one, and whether it waits."""

import pytest

from taikun_cinder.access.model import Initiator
from taikun_cinder.targets.base import Finding

A = Initiator("iqn.2026-11.com.example:a")


@pytest.mark.parametrize(
    ("initiator", "waits", "said"),
    [
        (None, False, "t: acl: there is one, there should be none: a host is in."),
        (
            A,
            True,
            f"t, {A}: acl: there is one, there should be none: a host is in. Left as "
            "it is while attached hosts are logged in.",
        ),
    ],
)
def test_finding_is_one_sentence(initiator, waits, said):
    found = Finding("acl", "t", initiator, "one", "none", "a host is in", "", waits)
    assert str(found) == said
