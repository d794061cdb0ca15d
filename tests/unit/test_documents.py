# SPDX-License-Identifier: Apache-2.0
"""Everything that the documents name exists."""

import ast
import re
from pathlib import Path

import pytest

from taikun_cinder import capabilities
from tests.unit.memory import MemoryTarget

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "doc" / "source"
PAGES = [*ROOT.glob("*.rst"), *sorted(SOURCE.rglob("*.rst"))]
_OURS = r"(?:bench|doc|etc|lab|releasenotes|taikun_cinder|tests|tools)"
#: A path in double backquotes, or the file that a link leads to.
_PATH = re.compile(rf"``({_OURS}/[\w./-]+)``|<((?:{_OURS}/[\w./-]+|\w+)\.rst)>")


def _name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_path_that_a_page_names_exists(page):
    named = {quoted or linked for quoted, linked in _PATH.findall(page.read_text())}
    sources = [path for path in sorted(named) if not path.startswith("doc/build")]
    assert [path for path in sources if not (ROOT / path).exists()] == []


def test_readme_is_short():
    assert len((ROOT / "README.rst").read_text().splitlines()) <= 120


class _Unlimited:
    taikun_max_hosts = taikun_max_multiattach_volumes = 0
    taikun_multiattach_only = False


def test_every_capability_of_a_pool_is_explained():
    stats = capabilities.stated(
        {"pools": [{}]}, "0", _Unlimited, MemoryTarget().capabilities, lambda: 0
    )
    page = (SOURCE / "capabilities.rst").read_text()
    for name in stats["pools"][0]:
        assert f"\n``{name}``" in page


#: What a message has in the place of a value, and a page in the place of that.
_VALUE = re.compile(r"%(?:\(\w+\))?[.\d]*[sdf]|\{\}")


def _messages():
    """Give all texts of the code, with {} or %s for what differs."""
    for file in sorted((ROOT / "taikun_cinder").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                )


def _quoted(page):
    """Give the lines in the literal blocks of a page."""
    block = re.compile(r"::\n\n((?:    .*\n|\n)+)")
    for lines in block.findall(page):
        yield from (line.strip() for line in lines.splitlines() if line.strip())


def _is_of(line, message):
    """Say whether a quoted line is of a message, where ... stands for anything."""
    at = 0
    for part in filter(None, re.split(r"\s*\.\.\.\s*", line)):
        at = message.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_log_lines_that_troubleshooting_quotes_are_in_the_code():
    messages = [_VALUE.sub("", message) for message in _messages()]
    page = (SOURCE / "troubleshooting.rst").read_text()
    named = re.findall(r"^``([A-Z][^`]+ [^`]+)``$", page, re.MULTILINE)
    lines = [*_quoted(page), *named]
    assert len(lines) > 20
    assert [
        line for line in lines if not any(_is_of(line, text) for text in messages)
    ] == []
