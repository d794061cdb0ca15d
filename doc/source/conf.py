# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the documents: ``tox -e docs``."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The options, the policies and the extra specs are read from the code.
sys.path[:0] = [str(ROOT), str(ROOT / "doc" / "ext")]

project = "taikun_cinder"
extensions = [
    "openstackdocstheme",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "reno.sphinxext",
    "extra_specs",
    "shareable",
    "checks_table",
]


def _has_history() -> bool:
    """Say whether this is a clone with all that git has, and git is there."""
    if (git := shutil.which("git")) is None:
        return False
    asked = [git, "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return said.strip() == "false"


# reno reads the notes from git's history.
if not _has_history():
    exclude_patterns = ["releasenotes.rst"]
    suppress_warnings = ["toc.excluded"]

html_theme = "openstackdocs"
html_theme_options = {
    "analytics_tracking_code": "",
    "display_badge": False,
    "root_title": project,
    "show_other_versions": False,
    "sidebar_search": True,
}
# The theme is made for docs.openstack.org; these replace what is true only there.
templates_path = ["_templates"]
html_show_sourcelink = False
# pbr takes the version from git's tags, which a shallow clone does not have; the theme
# would warn of that, and a warning is an error.
openstackdocs_auto_version = False
# The name from setup.cfg has a dash; the documents use the package's.
openstackdocs_auto_name = False

highlight_language = "none"
