# SPDX-License-Identifier: Apache-2.0
"""A Sphinx directive that lists what several servers may write to.

``.. shareable::`` is a table of ``taikun_cinder.access.contents.SHAREABLE``. So the
documents follow a change of it.
"""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from taikun_cinder.access.contents import SHAREABLE

_HEADER = ("What libblkid calls it", "Why it passes")


class Shareable(SphinxDirective):
    """Shows the table. It takes no argument, option or content."""

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        return self.parse_text_to_nodes("\n".join(table()))


def table() -> Iterator[str]:
    """Give the lines of the table as reStructuredText."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield "   :widths: 35 65"
    yield ""
    for row in (_HEADER, *rows()):
        for number, cell in enumerate(row):
            yield f"   {' ' if number else '*'} - {cell}"


def rows() -> Iterator[tuple[str, str]]:
    """Give the cells: those kinds together that pass for the same reason."""
    by_reason: dict[str, list[str]] = {}
    for (kind, detail), reason in SHAREABLE.items():
        words = f"``{kind}``, {detail}" if detail else f"``{kind}``"
        by_reason.setdefault(reason, []).append(words)
    for reason, kinds in by_reason.items():
        yield ", ".join(kinds), reason


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("shareable", Shareable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
