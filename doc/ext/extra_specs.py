# SPDX-License-Identifier: Apache-2.0
"""A Sphinx directive that lists the extra specs which the code knows.

``.. extra-specs::`` is a table of ``taikun_cinder.extra_specs.SPECS``. So a new
extra spec needs no change of the documents.
"""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from taikun_cinder import extra_specs, opts

_HEADER = ("Extra spec", "Option of the back end", "Values", "Default", "Meaning")


class ExtraSpecs(SphinxDirective):
    """Shows the table. It takes no argument, option or content."""

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        return self.parse_text_to_nodes("\n".join(table()))


def table() -> Iterator[str]:
    """Give the lines of the table as reStructuredText."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield "   :widths: 20 20 14 10 36"
    yield ""
    for row in (_HEADER, *rows()):
        for number, cell in enumerate(row):
            yield f"   {' ' if number else '*'} - {cell}"


def rows() -> Iterator[tuple[str, ...]]:
    """Give the cells of each extra spec."""
    defaults = {option.name: option.default for option in opts.BACKEND_OPTS}
    for name, spec in extra_specs.SPECS.items():
        default = spec.default if spec.option is None else defaults[spec.option]
        yield (
            f"``{name}``",
            "none" if spec.option is None else f"``{spec.option}``",
            ", ".join(f"``{value}``" for value in spec.values) or spec.allowed,
            f"``{default}``",
            spec.help,
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("extra-specs", ExtraSpecs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
