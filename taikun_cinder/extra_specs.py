# SPDX-License-Identifier: Apache-2.0
"""The extra specs of volume types that this driver knows, each in one place.

``cinder get-capabilities``, the scheduler's filter, the errors and the documents follow
from what is said here.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from cinder import exception
from oslo_log import log as logging
from oslo_utils import strutils

from taikun_cinder.access.rules import Guard, Rule, Secondary
from taikun_cinder.exception import InvalidExtraSpec

LOG = logging.getLogger(__name__)

#: The prefix of all names.
PREFIX = "taikun"


class NotAllowedError(ValueError):
    """An extra spec has a value that it may not have."""

    def __init__(self, spec: "ExtraSpec", value: object) -> None:
        super().__init__(f"{spec.name}='{value}' is not {spec.allowed}")
        self.spec = spec
        self.value = value


@dataclasses.dataclass(frozen=True)
class ExtraSpec:
    """An extra spec of volume types.

    Attributes:
        key: its name behind the prefix.
        title: a few words.
        help: what it means.
        type: ``string``, ``integer`` (from 0) or ``boolean``, as JSON schema has them.
        values: those that a string may have; empty for any.
        option: the back end's, for types that do not say it; None if there is none.
        default: for types that do not say it, where there is no option.
    """

    key: str
    title: str
    help: str
    type: str
    values: tuple[str, ...] = ()
    option: str | None = None
    default: Any = None

    @property
    def name(self) -> str:
        """Its whole name."""
        return f"{PREFIX}:{self.key}"

    @property
    def allowed(self) -> str:
        """The values that it may have, in words."""
        if self.values:
            return f"one of {', '.join(self.values)}"
        return {"integer": "a number from 0", "boolean": "True or False"}.get(
            self.type, "a text"
        )

    def default_of(self, configuration: Any) -> Any:
        """Give the value for types that do not say it, on a back end."""
        if self.option is None:
            return self.default
        return getattr(configuration, self.option)

    def read(self, specs: Mapping[str, str | None], configuration: Any) -> Any:
        """Give its value for a volume type, or else for the back end.

        Raises:
            NotAllowedError: the type has another than it may.
        """
        if self.name not in specs:
            return self.default_of(configuration)
        return self.parse(specs[self.name])

    def parse(self, text: object) -> Any:
        """Give the value that a text means.

        Args:
            text: None where a type has the extra spec and no value.

        Raises:
            NotAllowedError: it may not have this one.
        """
        if not isinstance(text, str):
            raise NotAllowedError(self, text)
        try:
            # Other scripts have digits of their own, which int() takes.
            if self.type == "integer" and text.isascii() and text.isdecimal():
                return int(text)
            if self.type == "boolean":
                # Cinder's own booleans are written like this.
                said = text.removeprefix("<is> ")
                return strutils.bool_from_string(said, strict=True)
        except ValueError:
            pass
        if self.type == "string" and (not self.values or text in self.values):
            return text
        raise NotAllowedError(self, text)


#: All extra specs by their names.
SPECS: dict[str, ExtraSpec] = {}


def _spec(*arguments: Any, **named: Any) -> ExtraSpec:
    spec = ExtraSpec(*arguments, **named)
    SPECS[spec.name] = spec
    return spec


SECONDARY_MODE = _spec(
    "secondary_mode",
    "Rule for second attachments",
    "What a server gets when another one has the volume attached: rw (what it asks "
    "for), ro (only to read while another server may write) or deny (nothing).",
    "string",
    tuple(secondary.value for secondary in Secondary),
    option="taikun_secondary_mode",
)
MAX_HOSTS = _spec(
    "max_hosts",
    "Hosts per volume",
    "To how many hosts a volume can be attached at once. 0 is no limit.",
    "integer",
    option="taikun_max_hosts",
)
FILESYSTEM_GUARD = _spec(
    "filesystem_guard",
    "Guard of file systems for one server",
    "What a second server that would write gets, where the volume has a file system or "
    "the like that is for one server at a time: off (nobody looks), warn (what it asks "
    "for, with a warning in the log), ro (only to read) or deny (nothing).",
    "string",
    tuple(guard.value for guard in Guard),
    option="taikun_filesystem_guard",
)


def value(spec: ExtraSpec, configuration: Any, volume: Any) -> Any:
    """Give the value of an extra spec for a volume: its type's, or its back end's.

    Raises:
        InvalidExtraSpec: the type has a value that the extra spec may not have.
    """
    return value_of_type(spec, configuration, volume, _type_of(volume))


def value_of_type(
    spec: ExtraSpec, configuration: Any, volume: Any, volume_type: Any | None
) -> Any:
    """Give the value of an extra spec for a volume if it is, or were, of a type.

    Raises:
        InvalidExtraSpec: the type has a value that the extra spec may not have.
    """
    specs = (volume_type["extra_specs"] if volume_type else None) or {}
    try:
        return spec.read(specs, configuration)
    except NotAllowedError as error:
        raise InvalidExtraSpec(
            volume=volume["id"],
            type=volume_type["name"] if volume_type else None,
            spec=spec.name,
            value=error.value,
            allowed=spec.allowed,
        ) from None


def rule(configuration: Any, volume: Any) -> Rule:
    """Give the rule for a volume: its type's, or else its back end's.

    Raises:
        InvalidExtraSpec: an extra spec of its type has a value that it may not have.
    """
    return rule_of_type(configuration, volume, _type_of(volume))


def rule_of_type(configuration: Any, volume: Any, volume_type: Any | None) -> Rule:
    """Give the rule for a volume if it is, or were, of a type.

    Raises:
        InvalidExtraSpec: an extra spec of the type has a value that it may not have.
    """
    # All of them, so that a wrong value of any is refused here.
    values = {
        name: value_of_type(spec, configuration, volume, volume_type)
        for name, spec in SPECS.items()
    }
    # Cinder gives other volumes to one server only, and a repeated request of its old
    # API could be taken for another server's.
    guard = Guard(values[FILESYSTEM_GUARD.name])
    return Rule(
        secondary=Secondary(values[SECONDARY_MODE.name]),
        max_hosts=values[MAX_HOSTS.name],
        guard=guard if volume.get("multiattach") else Guard.OFF,
    )


def cure_of_refusal() -> str:
    """Say where the rule that refused an attachment can be changed."""
    rules = (SECONDARY_MODE, MAX_HOSTS)
    names = " and ".join(spec.name for spec in rules)
    options = " and ".join(spec.option for spec in rules if spec.option)
    return (
        f"change the rule: retype it to a type with other extra specs {names}, or set "
        f"options {options} of its back end"
    )


def cure_of_guard(*, unseen: bool) -> str:
    """Say what can be done where the guard refused an attachment.

    Args:
        unseen: whether it did so because the volume could not be looked at.
    """
    first = (
        "repeat the request when it can be looked at"
        if unseen
        else "make a cluster file system on it (OCFS2, GFS2; if what was found is only "
        "left over, wipefs removes it)"
    )
    spec = FILESYSTEM_GUARD
    return (
        f"{first}, or attach it with mode ro, or let the guard be another: retype it "
        f"to a type with another extra spec {spec.name}, or set option {spec.option} "
        "of its back end"
    )


def _type_of(volume: Any) -> Any | None:
    if not volume.get("volume_type_id"):
        return None
    try:
        return volume["volume_type"]
    except exception.VolumeTypeNotFound:
        LOG.warning(
            "The type %(type)s of volume %(volume)s is gone from Cinder's database. "
            "The options of its back end hold for it. Retype it to one that is there.",
            {"type": volume["volume_type_id"], "volume": volume["id"]},
        )
        return None


def vendor_properties(configuration: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what ``cinder get-capabilities`` shows of each extra spec.

    The form is that of cinder.volume.driver.BaseVD._set_property.
    """
    for name, spec in SPECS.items():
        shown = {
            "title": spec.title,
            "description": spec.help,
            "type": spec.type,
            "default": spec.default_of(configuration),
        }
        yield name, shown | ({"enum": spec.values} if spec.values else {})
