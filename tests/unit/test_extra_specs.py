# SPDX-License-Identifier: Apache-2.0
"""An extra spec is one entry: what it may be, and what the errors say, follow."""

import pytest

from taikun_cinder import extra_specs
from taikun_cinder.exception import InvalidExtraSpec
from taikun_cinder.extra_specs import ExtraSpec, NotAllowedError

FLAG = ExtraSpec("foo", "Foo", "Whether.", "boolean", default=False)
TEXT = ExtraSpec("bar", "Bar", "Anything.", "string", default="")
NUMBER = ExtraSpec("baz", "Baz", "How many.", "integer", default=3)


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (FLAG, "True", True),
        (FLAG, "false", False),
        (FLAG, "<is> True", True),
        (TEXT, "any text", "any text"),
        (NUMBER, "0", 0),
        (extra_specs.SECONDARY_MODE, "ro", "ro"),
    ],
)
def test_value_is_read_by_its_type(spec, text, value):
    assert spec.read({spec.name: text}, None) == value


@pytest.mark.parametrize(
    ("spec", "text", "allowed"),
    [
        (FLAG, "perhaps", "True or False"),
        (FLAG, "", "True or False"),
        (NUMBER, "-1", "a number from 0"),
        (NUMBER, "1.5", "a number from 0"),
        (extra_specs.SECONDARY_MODE, "RO", "one of rw, ro, deny"),
    ],
)
def test_other_value_is_refused_with_what_is_allowed(spec, text, allowed):
    with pytest.raises(NotAllowedError, match=allowed):
        spec.parse(text)
    volume_type = {"name": "shared", "extra_specs": {spec.name: text}}
    with pytest.raises(InvalidExtraSpec) as refused:
        extra_specs.value_of_type(spec, None, {"id": "some-id"}, volume_type)
    for words in ("some-id", "type shared", f"{spec.name}='{text}'", allowed):
        assert words in str(refused.value)


def test_without_an_option_the_default_holds():
    assert FLAG.read({}, None) is False
    assert NUMBER.read({"taikun:other": "1"}, None) == 3


def test_new_entry_is_shown_to_operators_and_known_to_the_filter(
    cloud, monkeypatch, log
):
    monkeypatch.setitem(extra_specs.SPECS, FLAG.name, FLAG)
    cloud.driver.init_capabilities()
    shown = cloud.driver.capabilities["properties"][FLAG.name]
    assert (shown["type"], shown["default"]) == ("boolean", False)
    volume = cloud.load(cloud.volume(**cloud.volume_type(foo="perhaps")))
    with pytest.raises(InvalidExtraSpec, match="taikun:foo='perhaps'"):
        extra_specs.rule(cloud.driver.configuration, volume)
