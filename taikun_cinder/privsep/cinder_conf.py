# SPDX-License-Identifier: Apache-2.0
"""What cinder.conf says of this driver's back ends, read without Cinder."""

import configparser
from collections.abc import Iterator

#: What ``volume_driver`` of such a back end begins with.
_DRIVER = "taikun_cinder."

#: No section gives its options to all others, as [DEFAULT] does in other files.
_NOWHERE = "\0"

#: The section that does, for back ends (cinder.volume.configuration).
_SHARED = "backend_defaults"


def back_ends(text: str) -> Iterator[dict[str, str]]:
    """Give the options of each back end that this driver serves.

    Args:
        text: of the file.

    Raises:
        configparser.Error: it is no such file.
    """
    parser = configparser.ConfigParser(
        interpolation=None,
        strict=False,  # oslo.config lets an option stand twice
        allow_no_value=True,
        default_section=_NOWHERE,
        inline_comment_prefixes=None,
    )
    parser.read_string(text)
    shared = dict(parser[_SHARED]) if parser.has_section(_SHARED) else {}
    for section in parser.sections():
        options = {**shared, **parser[section]}
        if section != _SHARED and str(options.get("volume_driver")).startswith(_DRIVER):
            yield options
