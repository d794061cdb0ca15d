# SPDX-License-Identifier: Apache-2.0
"""Everything that the documents name exists."""

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
