# SPDX-License-Identifier: Apache-2.0
"""Names that somebody wrote by hand into configfs, as the kernel takes them."""

import pytest

from taikun_cinder.privsep import cipher, names

KEY = cipher.new_key()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("lun_0", 0),
        ("lun_12", 12),
        ("lun_0x1", 1),
        ("lun_0XfF", 255),
        ("lun_010", 8),
        ("lun_00", 0),
        ("lun_", None),
        ("lun_x", None),
        ("lun_09", None),
        ("lun_1_0", None),
        ("info", None),
    ],
)
def test_a_lun_has_the_number_that_the_kernel_reads(name, index):
    assert names.lun(name) == index


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("tpgt_1", 1),
        ("tpgt_0x2", 2),
        ("tpgt_010", 8),
        ("xtpgt_3", 3),
        ("param", None),
        ("tpgt_", None),
    ],
)
def test_a_tpg_has_the_tag_that_the_kernel_reads(name, tag):
    assert names.tag(name) == tag


@pytest.mark.parametrize(
    ("name", "portal"),
    [
        ("127.0.0.1:3260", ("127.0.0.1", 3260)),
        ("[::1%eth0]:3260", ("::1%eth0", 3260)),
        ("[2001:DB8::0]:0xcbc", ("2001:db8::", 3260)),
        ("127.0.0.01:06274", ("127.0.0.1", 3260)),
        ("somewhere:3260", None),
        ("127.0.0.1", None),
    ],
)
def test_a_portal_has_the_address_and_port_that_the_kernel_reads(name, portal):
    assert names.portal(name) == portal
