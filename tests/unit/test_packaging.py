# SPDX-License-Identifier: Apache-2.0
"""What an installation of the package brings, and what its pure part imports."""

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest
import yaml

from taikun_cinder import version
from taikun_cinder.cli import main
from taikun_cinder.driver import MultiattachLVMDriver
from taikun_cinder.status.checks import Checks

ROOT = Path(__file__).parents[2]

#: The manual pages.
PAGES = ("taikun-cinder.8", "taikun-cinder-status.8")


#: Loads every entry point of the package, and tells from where.
_LOAD = """
import importlib.metadata, json, sys, taikun_cinder
from cinder import objects
objects.register_all()
points = importlib.metadata.distribution("taikun-cinder").entry_points
for point in points:
    assert callable(point.load()), point
from taikun_cinder.driver import MultiattachLVMDriver
print(json.dumps([
    taikun_cinder.__file__, MultiattachLVMDriver.VERSION, [p.group for p in points]
]))
"""


def _build(command, folder):
    """Build from a copy, as a build leaves files behind; give what came out."""
    source = folder / "source"
    # Without a history it would not know its files, so with one.
    clone = ["git", "clone", "-q", "--depth=1", f"file://{ROOT}", source]
    subprocess.run(clone, check=True)
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    subprocess.run(["git", "add", "--all"], cwd=source, check=True)
    script = (
        f"import pbr.build; print(pbr.build.{command}({str(folder)!r}), file=open("
        f"{str(folder / 'made')!r}, 'w'))"
    )
    python = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(python, cwd=source, check=True, capture_output=True)
    return folder / (folder / "made").read_text().strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return _build("build_wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and what it needs, and nothing of this clone."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib"))
    # All that is installed here but the project, whose editable links are files there.
    into = Path(
        sysconfig.get_path("purelib", vars={"base": str(folder)}, scheme="venv")
    )
    for found in packages.iterdir():
        if "taikun" not in found.name.lower():
            (into / found.name).symlink_to(found)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, *offline, wheel], check=True)
    return folder


def test_an_installed_wheel_loads_all_its_entry_points(installed):
    done = subprocess.run(
        [installed / "bin" / "python", "-W", "ignore", "-c", _LOAD],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    file, told, groups = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed)
    assert told == version.text()
    assert set(groups) == {
        "cinder.scheduler.filters",
        "console_scripts",
        "oslo.config.opts",
        "oslo.policy.policies",
    }


def test_an_installed_wheel_brings_what_an_operator_copies(installed):
    share = installed / "share" / "taikun_cinder"
    for name in (
        "cinder.conf.sample",
        "policy.yaml.sample",
        "privileged.conf.sample",
        "policy.d/multiattach-closed.yaml",
        "systemd/taikun-cinder-restore.service",
        "systemd/cinder-volume@.service",
        "ocf/exports",
        "prometheus/taikun_cinder.rules.yaml",
        "grafana/taikun_cinder.json",
        "doc/install.rst",
    ):
        assert (share / name).is_file(), name
    for page in PAGES:
        assert (installed / "share" / "man" / "man8" / page).is_file()


def test_an_installed_wheel_brings_the_parts_of_the_topologys_page(installed):
    script = (
        "from cinder import objects; objects.register_all()\n"
        "from taikun_cinder.cli.topology import page\n"
        "print(page.of({'node': 'storage1'}))"
    )
    done = subprocess.run(
        [installed / "bin" / "python", "-W", "ignore", "-c", script],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("<!doctype html>")


def test_an_sdist_has_all_that_is_versioned(tmp_path):
    sdist = _build("build_sdist", tmp_path)
    assert sdist.name == f"taikun_cinder-{version.text()}.tar.gz"
    with tarfile.open(sdist) as made:
        names = {name.partition("/")[2] for name in made.getnames()}
    assert {"setup.cfg", "README.rst", "etc/policy.d/multiattach-open.yaml"} <= names
    assert "lab/cluster.py" in names


def test_there_is_one_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", version.text())
    assert version.text() == MultiattachLVMDriver.VERSION
    assert f"\nversion = {version.text()}\n" in (ROOT / "setup.cfg").read_text()


def test_what_is_imported_is_required_and_what_is_required_is_imported():
    names = set()
    for path in (ROOT / "taikun_cinder").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                assert node.module
                names.add(node.module.partition(".")[0])
    of_module = importlib.metadata.packages_distributions()
    imported = {
        distribution.lower()
        for name in names - sys.stdlib_module_names - {"taikun_cinder"}
        for distribution in of_module[name]
    }
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {
        re.split(r"[<>=!~ ]", line)[0].lower()
        for line in lines
        if line and not line.startswith("#")
    }
    assert imported == required


def test_pure_decisions_import_neither_cinder_nor_rtslib():
    script = (
        "import sys, taikun_cinder.access.ledger\n"
        "sys.exit(any(m.partition('.')[0] in ('cinder', 'rtslib_fb', 'oslo_log')"
        " for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_what_zuul_and_pre_commit_name_exists():
    environments = [
        re.compile(re.sub(r"\{(.*?)\}", lambda some: _either(some[1]), name))
        for name in re.findall(r"\[testenv:(.+)\]", (ROOT / "tox.ini").read_text())
    ]
    zuul = yaml.safe_load((ROOT / ".zuul.yaml").read_text())
    for job in (entry["job"] for entry in zuul if "job" in entry):
        name = job["vars"]["tox_envlist"]
        assert any(known.fullmatch(name) for known in environments), name
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line for line in constraints if line.startswith("ruff==")}
    assert set(re.findall(r"ruff==[\d.]+", hooks)) == pinned


def _either(words):
    return "(?:" + words.replace(",", "|") + ")"


def test_the_manual_page_has_every_verb():
    page = ROOT / "doc" / "man" / "taikun-cinder.8"
    for verb in main.VERBS:
        assert f"\n.B {verb}" in page.read_text()


def test_the_manual_page_of_the_checks_has_each_of_them():
    page = (ROOT / "doc" / "man" / "taikun-cinder-status.8").read_text()
    told = (ROOT / "doc" / "source" / "upgrade.rst").read_text()
    for name, _ in Checks._upgrade_checks:
        assert f"\n.B {name}\n" in page
        assert f"* - {name}\n" in told


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_draws_without_a_complaint(name):
    page = ROOT / "doc" / "man" / name
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed, as on a machine without manual pages")
    lint = ["groff", "-man", "-ww", "-z", "-Tutf8", str(page)]
    done = subprocess.run(lint, capture_output=True, text=True, check=True)
    assert done.stderr == ""
