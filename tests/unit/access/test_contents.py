# SPDX-License-Identifier: Apache-2.0
"""What is found on a volume is told in few words, and says who may share it."""

import pytest

from taikun_cinder.access.contents import SHAREABLE, Content, Look
from taikun_cinder.access.guard import Verdict


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ((), ""),
        ((Content("ext4"),), "ext4"),
        ((Content("ext4", partition=2),), "ext4 on partition 2"),
        ((Content("ocfs2", "local"),), "ocfs2 (local)"),
        (
            (Content("xfs", partition=1), Content("gfs2"), Content("swap", "", 3)),
            "xfs on partition 1 and swap on partition 3",
        ),
        (
            tuple(Content("ext4", partition=number) for number in range(1, 6)),
            "ext4 on partition 1, ext4 on partition 2, ext4 on partition 3, "
            "ext4 on partition 4 and ext4 on partition 5",
        ),
        (
            tuple(Content("ext4", partition=number) for number in range(1, 129)),
            "ext4 on partition 1, ext4 on partition 2, ext4 on partition 3, "
            "ext4 on partition 4 and 124 more",
        ),
    ],
)
def test_what_is_for_one_server_is_told(contents, words):
    assert Look(contents).for_one_server == words


def test_what_was_found_is_told_even_if_it_is_nothing():
    assert str(Look()) == "nothing that libblkid knows"
    assert str(Look((Content("gfs2", partition=1),))) == "gfs2 on partition 1"
    assert str(Look(failure="it did not answer")) == "it did not answer"


def test_all_that_may_be_shared_has_a_reason():
    assert all(SHAREABLE.values())
    for kind, detail in SHAREABLE:
        assert Content(kind, detail).may_be_shared
    for kind in ("ext4", "crypto_LUKS", "LVM2_member", "a-new-one", ""):
        assert not Content(kind).may_be_shared


@pytest.mark.parametrize(
    ("server", "word"),
    [
        ("4a4f", "server 4a4f may"),
        ("attachment 77", "attachment 77 may"),
        ("mark 1234", "a server that no attachment names may"),
        ("connector 1234", "a server that no attachment names may"),
    ],
)
def test_writers_are_named_as_operators_know_them(server, word):
    look = Look((Content("ext4"),))
    assert Verdict(None, look, frozenset({server})).cause.startswith(word)
