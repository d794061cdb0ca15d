# SPDX-License-Identifier: Apache-2.0
"""Each extra spec is one entry, which Cinder, its operators and the errors go by."""

import pytest

from taikun_cinder import extra_specs, opts
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
        (NUMBER, "٣", "a number from 0"),
        (NUMBER, "३", "a number from 0"),
        (NUMBER, "²", "a number from 0"),
        (NUMBER, "9" * 5000, "a number from 0"),
        (NUMBER, "", "a number from 0"),
        (NUMBER, " 1", "a number from 0"),
        (NUMBER, None, "a number from 0"),
        (FLAG, None, "True or False"),
        (TEXT, None, "a text"),
        (extra_specs.MAX_HOSTS, None, "a number from 0"),
        (extra_specs.SECONDARY_MODE, None, "one of rw, ro, deny"),
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


@pytest.mark.options(taikun_secondary_mode="ro")
def test_get_capabilities_shows_each_extra_spec_with_what_it_may_be(cloud):
    cloud.driver.init_capabilities()
    shown = cloud.driver.capabilities
    assert shown["vendor_prefix"] == "taikun"
    mode = shown["properties"]["taikun:secondary_mode"]
    assert mode["type"] == "string"
    assert mode["enum"] == ("rw", "ro", "deny")
    assert mode["default"] == "ro"
    assert "another one has the volume" in mode["description"]
    hosts = shown["properties"]["taikun:max_hosts"]
    assert (hosts["type"], hosts["default"]) == ("integer", 0)


def test_option_that_an_extra_spec_names_is_one_of_the_back_end():
    options = {option.name for option in opts.BACKEND_OPTS}
    named = {spec.option for spec in extra_specs.SPECS.values() if spec.option}
    assert named <= options
