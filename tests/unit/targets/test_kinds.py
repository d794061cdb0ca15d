# SPDX-License-Identifier: Apache-2.0
"""The options of a back end choose its kind of target."""

from types import SimpleNamespace

import pytest

from taikun_cinder import targets
from taikun_cinder.targets.lio.target import LioTarget


class Other:
    """Another kind of target."""


@pytest.fixture
def several(monkeypatch):
    """Let there be another kind, too."""
    path = f"{__name__}.{Other.__name__}"
    monkeypatch.setattr(targets, "KINDS", {**targets.KINDS, ("other", "nvmet"): path})


def _options(helper, protocol):
    names = {"target_helper": helper, "target_protocol": protocol}
    return SimpleNamespace(**names, config_group="mine")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (_options("lioadm", "iscsi"), LioTarget),
        (_options("other", "nvmet"), Other),
        (_options("lioadm", "nvmet"), None),
    ],
)
def test_options_name_one_kind_or_none(several, options, kind):
    assert targets.kind_of(options) is kind
    if kind is not None:
        assert type(targets.of(options)) is kind
        return
    with pytest.raises(LookupError, match=r"\[mine\].*lioadm with iscsi or other"):
        targets.of(options)


def test_only_kind_is_taken_where_none_is_named():
    assert type(targets.of(_options("tgtadm", "iscsi"))) is LioTarget
