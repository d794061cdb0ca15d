# SPDX-License-Identifier: Apache-2.0
"""Law 8 at the last door: the privileged process believes nobody."""

import pytest

from taikun_cinder import privsep
from taikun_cinder.privsep import checks, lio
from taikun_cinder.targets.lio import states

TARGET = "iqn.2010-10.org.openstack:volume-1"


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.iqn, "iqn.2010-10.org/../../etc"),
        (checks.iqn, "volume-1"),
        (checks.iqn, "iqn." + "x" * 220),
        (checks.iqn, b"iqn.2010-10.org:x"),
        (checks.initiator, "iqn.2010-10.org:HOST"),
        (checks.initiator, "iqn.2010-10.org.exämple:host"),
        (checks.initiator, "iqn.org:host"),
        (checks.initiator, "naa.123"),
        (checks.folder, ".."),
        (checks.folder, "a/b"),
        (checks.folder, ""),
        (checks.device, "/etc/passwd"),
        (checks.device, "/dev/../etc/passwd"),
        (checks.device, "/dev/sda,readonly=1"),
        (checks.device, "/dev/null"),
        (checks.device, "/dev/there-is-none"),
        (checks.serial, "a/../b"),
        (checks.serial, ""),
        (checks.address, "localhost"),
        (checks.address, "fe80::1%eth0"),
        (checks.port, 0),
        (checks.port, True),
        (checks.lun, -1),
        (checks.flag, 1),
        (checks.attribute, "default_cmdsn_depth"),
        (checks.secret, "NULL-and-more"),
        (checks.secret, "two\nlines"),
        (checks.secret, ""),
        (checks.secret, None),
    ],
)
def test_bad_value_is_refused(check, value):
    with pytest.raises(ValueError, match=r"\w"):
        check(value)


def test_refused_secret_is_not_shown():
    with pytest.raises(ValueError, match="username or password") as caught:
        checks.secret("with a blank")
    assert "with a blank" not in str(caught.value)


def test_bad_step_is_refused_before_anything_is_done(monkeypatch):
    done: list[str] = []
    taken = {"create_target": (done.append, ())}
    monkeypatch.setattr(lio, "CHANGES", lio.CHANGES | taken)
    monkeypatch.setattr(privsep.context, "client_mode", False)
    for bad in (("no_step",), ("create_target", 1), ("map_lun", "x", True), (3,)):
        with pytest.raises(ValueError, match=r"\w"):
            lio.apply(TARGET, [("create_target",), bad])
    assert done == []


def test_both_halves_want_the_same_attributes():
    assert checks.ATTRIBUTES == states.ATTRIBUTES
