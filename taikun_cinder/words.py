# SPDX-License-Identifier: Apache-2.0
"""What people are told: in one line, as a terminal can show it, without a secret."""

import re
import traceback

from oslo_config import cfg
from oslo_utils import strutils

#: The user and the password in a URL, also in one that lacks a sign.
_LOGIN = re.compile(r":\S+@")

#: By its name: commands that need no database have no time to import SQLAlchemy.
_WRONG_URL = "sqlalchemy.exc.ArgumentError"

#: The line of a configuration file that oslo.config quotes, behind its first word.
_QUOTED = re.compile(r"(: ['\"]\S+)\s.*(['\"])$")


def printable(text: str) -> str:
    """Give a text as a terminal can show it, whoever chose the names in it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def cause(error: Exception) -> str:
    """Give the text of an error."""
    if _WRONG_URL in {f"{one.__module__}.{one.__name__}" for one in type(error).mro()}:
        # Older SQLAlchemys quote the whole URL; 2.0.38 does.
        return "connection in section [database] of cinder.conf is no database's URL"
    said = " ".join(str(error).split())
    if isinstance(error, cfg.ConfigFileParseError):
        said = _QUOTED.sub(r"\1 ...\2", said)
    return printable(_masked(said))


def of_error(error: Exception) -> str:
    """Say what went wrong: an error's message, or its kind and its text."""
    said = getattr(error, "msg", None)
    if isinstance(error, cfg.Error) or not said:
        return f"{type(error).__name__}: {cause(error)}"
    return printable(_masked(" ".join(str(said).split())))


def trace(error: Exception) -> str:
    """Give the lines that tell where an error came from, for a log."""
    return _masked("".join(traceback.format_exception(error)))


def _masked(text: str) -> str:
    return str(strutils.mask_password(_LOGIN.sub(":***@", text)))
