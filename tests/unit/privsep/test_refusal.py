# SPDX-License-Identifier: Apache-2.0
"""A refusal says in words what was tried, where, and what the kernel said."""

import errno

from taikun_cinder.privsep.refusal import KernelRefused


def test_refused_link_is_named_by_its_own_place_and_not_by_where_it_leads():
    error = OSError(errno.EINVAL, "", "/core/x", None, "/lun_0/backstore")
    assert KernelRefused.of(0, "add lun", error).path == "/lun_0/backstore"


def test_error_without_a_path_or_a_number_is_told_all_the_same():
    refused = KernelRefused.of(3, "add lun", OSError("no more"))
    assert (refused.step, refused.path, refused.number) == (3, "(no path)", 0)
    assert "add lun" in str(refused)


def test_number_that_has_no_name_is_shown_as_it_is():
    # ENOTSUPP of the kernel, which user space has no name for.
    assert "(524)" in str(KernelRefused(0, "add lun", "/lun_0", 524))
