# SPDX-License-Identifier: Apache-2.0
"""Fills .tox/venv, the one virtual environment that everything of the project runs in.

    python tools/environment.py [NAME]

tox would make an environment for each of its names. Cinder, Keystone and the clients
take half a minute and half a gigabyte each time, and the nodes of a running lab live
from the environment that they were started in. So tox's own environments stay empty,
and each calls this first. It does nothing when nothing has changed since the last time.

With the name of an environment of a release, as cinder26 or cinder28-py312, it fills
one with that Cinder and this Python: .tox/venv-NAME. With the name of something that
runs beside the project, nova or tempest, it fills one with that alone; and with
"mutation", one with all of the project and a tool that nothing else needs. The variable
TOX_CONSTRAINTS_FILE names other constraints, as everywhere in OpenStack, for all but an
older release.
"""

import ast
import compileall
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "test-requirements.txt", "lab/requirements.txt")
#: Only for the newest release: the documents are no release's.
DOCUMENTS = "doc/requirements.txt"
#: What runs beside the project, and needs nothing of it.
BESIDE = {
    "nova": "lab/nova/requirements.txt",
    "tempest": "tests/tempest/requirements.txt",
}
#: What runs the project's tests with more than they need.
MORE = {"mutation": "tools/mutation-requirements.txt"}
#: A change to any of these is a reason to install anew.
INPUTS = ("setup.cfg", "setup.py", "pyproject.toml")


class Environment:
    """A virtual environment.

    Args:
        name: of a release's, or one of BESIDE or MORE; empty for the one of all else.
    """

    def __init__(self, name: str = "") -> None:
        own = Path("constraints", f"{name.partition('-')[0]}.txt")
        self.path = ROOT / ".tox" / (f"venv-{name}" if name else "venv")
        # With other versions an older release would be another one.
        is_older = (ROOT / own).is_file()
        given = None if is_older else os.environ.get("TOX_CONSTRAINTS_FILE")
        self._constraints = given or str(own if is_older else "constraints.txt")
        self._with_project = name not in BESIDE
        self._requirements = (*REQUIREMENTS, *(() if name else (DOCUMENTS,)))
        if name in MORE:
            self._requirements = (*REQUIREMENTS, MORE[name])
        if not self._with_project:
            self._requirements = (BESIDE[name],)

    def fill(self) -> None:
        """Bring it up to date, one process at a time."""
        self.path.parent.mkdir(exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stamp = self.path / "fingerprint"
            if stamp.exists() and stamp.read_text() == self._fingerprint():
                return
            print(f"installing the requirements into {self.path}", flush=True)
            venv.create(self.path, with_pip=True)
            self._install()
            stamp.write_text(self._fingerprint())

    def _fingerprint(self) -> str:
        """Give a digest of all that decides what is in the environment."""
        digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
        digest.update(self._constraints.encode())
        names = [*self._requirements, *INPUTS]
        if "://" not in self._constraints:
            names.append(self._constraints)
        for name in names:
            digest.update((ROOT / name).read_bytes())
        return digest.hexdigest()

    def _install(self) -> None:
        """Install the requirements and, where it runs, the project itself, editable."""
        arguments = ["--constraint", self._constraints]
        for name in self._requirements:
            arguments += ["--requirement", name]
        self._fetch(*arguments)
        if self._with_project:
            self._fetch("--no-deps", "--editable", ".")
        # All processors do it here. A node of the lab cannot keep what it compiles.
        compileall.compile_dir(str(self.path / "lib"), quiet=2, workers=0)

    def _fetch(self, *arguments: str) -> None:
        """Install by uv if it is there, else by pip, which takes ten times as long."""
        python = str(self.path / "bin" / "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        if uv := shutil.which("uv"):
            command = [uv, "pip", "install", "--system-certs", "--python", python]
            command += ["--quiet", *arguments]
            env = _index(pip) | os.environ
            done = subprocess.run(
                command, cwd=ROOT, env=env, check=False, capture_output=True
            )
            if not done.returncode:
                return
            cause = done.stderr.decode(errors="replace").strip().partition("\n")[0]
            print(f"uv could not install it, so pip does: {cause}", flush=True)
        command = [*pip, "install", "--quiet", "--no-compile", *arguments]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status:
            sys.exit(f"environment.py: pip ended with status {status}")


def _index(pip: list[str]) -> dict[str, str]:
    """Let uv, which does not read pip's settings, ask the index that pip would.

    Returns:
        what to add to its environment; an index may have a password, so no argument.
    """
    told = subprocess.run([*pip, "config", "list"], check=True, capture_output=True)
    for line in told.stdout.decode().splitlines():
        name, _, value = line.partition("=")
        if name.endswith(".index-url"):
            return {"UV_DEFAULT_INDEX": ast.literal_eval(value)}
    return {}


if __name__ == "__main__":
    Environment(*sys.argv[1:]).fill()
