# SPDX-License-Identifier: Apache-2.0
"""Fills .tox/venv, the one virtual environment that everything of the project runs in.

    python tools/environment.py

tox would make an environment for each of its names. Cinder, Keystone and the clients
take half a minute and half a gigabyte each time, and the nodes of a running lab live
from the environment that they were started in. So tox's own environments stay empty,
and each calls this first. It does nothing when nothing has changed since the last time.
"""

import compileall
import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".tox" / "venv"
REQUIREMENTS = (
    "requirements.txt",
    "test-requirements.txt",
    "lab/requirements.txt",
    "doc/requirements.txt",
)
CONSTRAINTS = "constraints.txt"
#: A change to any of these is a reason to install anew.
INPUTS = (*REQUIREMENTS, CONSTRAINTS, "setup.cfg", "setup.py", "pyproject.toml")


def fingerprint() -> str:
    """Give a digest of all that decides what is in the environment."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def install() -> None:
    """Install the requirements and the project itself, editable."""
    pip: list[str | Path] = [
        VENV / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
    ]
    # pip compiles with one process. A node of the lab cannot keep what it compiles.
    arguments = ["install", "--quiet", "--no-compile", "--constraint", CONSTRAINTS]
    for name in REQUIREMENTS:
        arguments += ["--requirement", name]
    subprocess.run([*pip, *arguments], cwd=ROOT, check=True)
    editable = ["install", "--quiet", "--no-deps", "--editable", "."]
    subprocess.run([*pip, *editable], cwd=ROOT, check=True)
    compileall.compile_dir(str(VENV / "lib"), quiet=2, workers=0)


def main() -> None:
    """Bring the environment up to date, one process at a time."""
    VENV.parent.mkdir(exist_ok=True)
    with (VENV.parent / "venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = VENV / "fingerprint"
        if stamp.exists() and stamp.read_text() == fingerprint():
            return
        print(f"installing the requirements into {VENV}", flush=True)
        venv.create(VENV, with_pip=True)
        install()
        stamp.write_text(fingerprint())


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"environment.py: pip ended with status {failed.returncode}")
