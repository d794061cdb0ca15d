# SPDX-License-Identifier: Apache-2.0
"""The files of the daemons: written so that only their owner can read them."""

import configparser
import io
import os
from collections.abc import Mapping
from pathlib import Path

#: A configuration: section -> option -> value, as oslo.config reads it.
Settings = dict[str, dict[str, str]]


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 at once, so that a reader finds the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # one left behind could have another mode
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.replace(path)


def _parser() -> configparser.RawConfigParser:
    # No section is to lend its options to others, as configparser's DEFAULT would.
    parser = configparser.RawConfigParser(default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser


def write_settings(path: Path, settings: Mapping[str, Mapping[str, str]]) -> None:
    """Write a configuration file."""
    parser = _parser()
    parser.read_dict(settings)
    text = io.StringIO()
    parser.write(text)
    write_private(path, text.getvalue())


def read_settings(path: Path) -> Settings:
    """Read what :func:`write_settings` wrote."""
    parser = _parser()
    parser.read_string(path.read_text())
    return {section: dict(parser.items(section)) for section in parser.sections()}
