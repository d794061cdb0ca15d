# SPDX-License-Identifier: Apache-2.0
"""No module imports what is not its business; doc/source/contributor has the plan."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "taikun_cinder"


def _imported(file):
    """Give the project's modules that a file imports, and other packages' names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                path = ROOT / whole.replace(".", "/")
                is_module = path.is_dir() or path.with_suffix(".py").exists()
                yield whole if is_module else str(node.module)


def _modules(folder):
    files = sorted((ROOT / PACKAGE / folder).rglob("*.py"))
    assert files
    return files


def _strangers(folder, *allowed):
    """Give what the modules of a folder import beside what they may."""
    return {
        (file.relative_to(ROOT).as_posix(), name)
        for file in _modules(folder)
        for name in _imported(file)
        if name.startswith((PACKAGE, "cinder", "oslo", "rtslib_fb"))
        if not name.startswith(allowed)
    }


def test_who_may_is_decided_without_cinder_a_target_or_the_node():
    assert _strangers("access", f"{PACKAGE}.access") == set()


def test_the_privileged_half_imports_nothing_of_the_other():
    assert (
        _strangers("privsep", f"{PACKAGE}.privsep", "oslo_privsep", "oslo_config")
        == set()
    )


def test_a_target_knows_nothing_of_attachments_types_and_rules():
    known = ("access.model", "connectors", "exception", "node", "privsep", "targets")
    allowed = tuple(f"{PACKAGE}.{name}" for name in known)
    assert _strangers("targets", *allowed, "oslo", "rtslib_fb") == set()


@pytest.mark.parametrize(
    ("room", "others"),
    [("targets.lio", set()), ("privsep", {f"{PACKAGE}/contents.py"})],
)
def test_only_targets_and_looks_know_lio_and_privileges(room, others):
    strangers = {
        file.relative_to(ROOT).as_posix()
        for file in _modules("")
        if not file.is_relative_to(ROOT / PACKAGE / "targets")
        if not file.is_relative_to(ROOT / PACKAGE / "privsep")
        if any(name.startswith(f"{PACKAGE}.{room}") for name in _imported(file))
    }
    assert strangers == others


def test_one_module_reads_cinders_database():
    readers = {
        file.name
        for file in _modules("")
        # It asks the server of itself, and reads no row.
        if not file.is_relative_to(ROOT / PACKAGE / "checks")
        if any(
            name.startswith(("cinder.db", f"{PACKAGE}.cinder_db"))
            for name in _imported(file)
        )
    }
    assert readers == {"database.py", "cinder_db.py"}


def test_the_plan_of_the_house_names_every_module():
    plan = (ROOT / "doc/source/contributor/rooms.txt").read_text()
    named = [
        file.name
        for file in _modules("")
        if file.name != "__init__.py"
        if not file.is_relative_to(ROOT / PACKAGE / "privsep")
        if not file.is_relative_to(ROOT / PACKAGE / "cli")
        if not file.is_relative_to(ROOT / PACKAGE / "scheduler")
    ]
    hidden = {"exception.py", "opts.py", "policies.py"}
    assert [name for name in named if name not in hidden and name not in plan] == []


def test_imports_form_no_circle():
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for file in _modules("")
    }
    imports = {name: {*_imported(file)} & files.keys() for name, file in files.items()}
    while leaves := {name for name, needs in imports.items() if not needs}:
        imports = {
            name: needs - leaves
            for name, needs in imports.items()
            if name not in leaves
        }
    assert imports == {}
