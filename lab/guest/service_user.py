# SPDX-License-Identifier: Apache-2.0
"""The plain user ``cinder``, who may become root by cinder-rootwrap only.

This is how cinder-volume runs at an operator's, so privilege separation, the rootwrap
filters and what gets logged on the way are the real ones.
"""

import contextlib
import os
import pwd
import shutil
import sys
from pathlib import Path

from lab.guest.system import run
from lab.workdir import PROJECT

USER = "cinder"

#: What the user may do as root. The user is the lab's if this is there.
SUDOERS = Path("/etc/sudoers.d/cinder-of-the-lab")

#: Where the commands of this Python environment are.
BIN = Path(sys.executable).parent


def make(home: Path, etc: Path) -> None:
    """Make the user, and let it run ``cinder-rootwrap ETC/rootwrap.conf`` as root.

    Args:
        home: its folder, where it may write.
        etc: the folder of its configuration.
    """
    if SUDOERS.exists():
        return
    # The node sees the machine's files, and the machine may have such a user.
    with contextlib.suppress(KeyError):
        pwd.getpwnam(USER)
        run("userdel", USER)
    group = "--user-group"
    run("useradd", "--system", group, "--home-dir", str(home), "--create-home", USER)
    # What Cinder keeps is nobody else's business: packages make it so.
    home.chmod(0o750)
    _allow_rootwrap(etc / "rootwrap.conf")
    _open_the_interpreter()


def _allow_rootwrap(conf: Path) -> None:
    SUDOERS.write_text(
        f"Defaults secure_path = {BIN}:/usr/sbin:/usr/bin:/sbin:/bin\n"
        "Defaults env_keep += PYTHONPATH\n"
        f"{USER} ALL=(root) NOPASSWD: {BIN}/cinder-rootwrap {conf} *\n"
    )
    SUDOERS.chmod(0o440)


def _open_the_interpreter() -> None:
    """Let everybody get at the lab's interpreter, which may lie in root's home.

    A virtual environment may have a copy of it, whose library stays where it was.
    """
    executable = Path(sys.executable)
    library = Path(sys.base_prefix, "lib")
    for path in (executable, executable.resolve(), library, PROJECT / "lab"):
        for folder in path.parents:
            folder.chmod(folder.stat().st_mode | 0o111)


def install(source: Path, target: Path) -> None:
    """Put a folder of configuration where the user can read it and nobody else.

    A reader finds the old or the new of each file, as a service may be running.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_dir():
            install(path, target / path.name)
            continue
        draft = target / f".{path.name}.new"
        shutil.copyfile(path, draft)
        shutil.chown(draft, "root", USER)
        draft.chmod(0o640)
        draft.replace(target / path.name)


def own(*folders: Path, user: str = USER) -> None:
    """Make folders that belong to a user."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, user, user)


def environment() -> dict[str, str]:
    """Give the environment of a process of the user.

    With it all its processes are of this tree, root's too, even if another one is
    installed in the Python environment.
    """
    home = pwd.getpwnam(USER).pw_dir
    own = {"HOME": home, "USER": USER, "PYTHONPATH": str(PROJECT)}
    return {**os.environ, **own}
