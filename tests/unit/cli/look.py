# SPDX-License-Identifier: Apache-2.0
"""Takes pictures of the topology's page, for those who change it.

    python -m tests.unit.cli.look FOLDER

It writes pages of an imagined small and a large cloud, and what a person sees of them.
The picture in the documents is ``few.png``, made smaller by ``pngquant 64``.
"""

import datetime
import sys
import tempfile
from pathlib import Path
from typing import Any

from cinder import objects

objects.register_all()

from taikun_cinder.cli.topology import page  # noqa: E402
from tests.unit.cli import browser as browsers  # noqa: E402
from tests.unit.cli.imagined import few, imagined  # noqa: E402

#: By name: the cloud, what is chosen, the colours, and the size of the window.
PICTURES = {
    "few": ("few", "", "light", (1360, 480)),
    "few-dark": ("few", "", "dark", (1180, 560)),
    "few-servers": ("few", "by=server", "light", (1440, 900)),
    "few-narrow": ("few", "", "light", (600, 900)),
    "many": ("many", "", "light", (1440, 900)),
    "many-dark": ("many", "by=back_end", "dark", (1440, 900)),
    "many-lines": ("many", "view=links", "light", (1440, 900)),
    "many-search": ("many", "search=compute17", "light", (1440, 900)),
    "many-differs": ("many", "only=differs", "light", (1440, 900)),
}


def main(folder: Path) -> None:
    """Write the pages and the pictures."""
    program = browsers.program()
    if program is None:
        sys.exit(f"there is none of {', '.join(browsers.NAMES)}")
    clouds: dict[str, Any] = {"few": few(), "many": imagined(500, 50)}
    for name, cloud in clouds.items():
        cloud["made"] = datetime.datetime.now(datetime.UTC).isoformat(
            timespec="seconds"
        )
        (folder / f"{name}.html").write_text(page.of(cloud))
    with tempfile.TemporaryDirectory() as profile:
        browser = browsers.Browser(program, Path(profile))
        for name, (cloud, chosen, colours, size) in PICTURES.items():
            browser.resize(*size)
            browser.prefer(colours)
            browser.open((folder / f"{cloud}.html").resolve(), chosen)
            browser.screenshot(folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
