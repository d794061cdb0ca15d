# SPDX-License-Identifier: Apache-2.0
"""The page for a browser: one file with all that it needs, and no word to anybody.

Its parts are beside this module. What the graph says comes from clients (a connector's
host name, say), so it goes in as data, in a form that cannot end it, and the scripts
show it as text only. The page's policy allows its own style and script, by their
hashes, and forbids all else, every request included.
"""

import base64
import contextlib
import hashlib
import html
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from taikun_cinder.cli.verb import NothingDoneError

_STYLES = ("page.css", "panel.css", "picture.css", "matrix.css", "media.css")
_SCRIPTS = (
    "model.js",
    "dom.js",
    "links.js",
    "matrix.js",
    "panel.js",
    "about.js",
    "page.js",
    "start.js",
)

#: What such a page has near its beginning, and no other file.
_MARK = b'<meta name="generator" content="taikun-cinder topology">'
_BEGINNING = 2048

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def of(topology: Mapping[str, Any]) -> str:
    """Make the page of a topology, in ASCII.

    Args:
        topology: as JSON has it, see ``doc/source/topology.rst``.
    """
    style = "\n".join(map(_part, _STYLES))
    script = '"use strict";\n(() => {\n' + "\n".join(map(_part, _SCRIPTS)) + "})();\n"
    parts = {
        "node": html.escape(str(topology["node"])),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "data": _data(topology),
    }
    # In one pass: what is put in is not looked at again.
    made = _PLACE.sub(lambda place: parts[place[1]], _part("page.html"))
    return made.encode("ascii", "xmlcharrefreplace").decode()


def _part(name: str) -> str:
    return (resources.files(__package__) / "parts" / name).read_text("ascii")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _data(topology: Mapping[str, Any]) -> str:
    """Give JSON without a character that means anything to HTML."""
    text = json.dumps(topology, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)


def check(file: Path) -> None:
    """See that a page can be written to a file, and takes nothing else's place.

    Raises:
        NothingDoneError: it cannot, or would.
    """
    try:
        found = file.lstat()
        if stat.S_ISREG(found.st_mode):
            with file.open("rb") as there:
                beginning = there.read(_BEGINNING)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise NothingDoneError(
            f"{file} cannot be looked at: {error.strerror}"
        ) from error
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise NothingDoneError(
            f"there is no folder {file.parent} that this user may write to; name "
            "another one, or let --html - print the page"
        )
    if found and not (stat.S_ISREG(found.st_mode) and _MARK in beginning):
        raise NothingDoneError(
            f"{file} is there, and is no page that this command wrote; name another "
            "file, or take that one away"
        )


def write(file: Path, page: str) -> None:
    """Write a page, or replace one, at once; only this user can read it.

    Raises:
        OSError: it cannot be written. What was there stays.
    """
    # A draft of a fixed name, as durable.py has it, may be a file of somebody's.
    handle, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as new:
            new.write(page)
            new.flush()
            os.fsync(new.fileno())
        os.replace(draft, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
