# SPDX-License-Identifier: Apache-2.0
"""A Sphinx directive that lists the checks of ``taikun-cinder check``.

``.. checks::`` is a table for each room of ``taikun_cinder.checks.catalogue``. So a new
check needs no change of the documents.
"""

from collections.abc import Iterator

from cinder import objects
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

objects.register_all()  # cinder.volume.manager cannot be imported before

from taikun_cinder.checks import catalogue  # noqa: E402


class Checks(SphinxDirective):
    """Shows the tables. It takes no argument, option or content."""

    def run(self) -> list[nodes.Node]:
        """Build the tables."""
        return self.parse_text_to_nodes("\n".join(tables()))


def tables() -> Iterator[str]:
    """Give the lines of the tables as reStructuredText."""
    for room, checks in catalogue.ROOMS.items():
        yield f".. list-table:: {room}"
        yield "   :header-rows: 1"
        yield "   :widths: 22 78"
        yield ""
        yield "   * - Check"
        yield "     - What has to be so"
        for check in checks:
            yield f"   * - ``{check.name}``"
            yield f"     - {check.about}"
        yield ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("checks", Checks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
