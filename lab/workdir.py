# SPDX-License-Identifier: Apache-2.0
"""The one folder that a lab may write to, and where things are in it."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any, TextIO

from lab.errors import LabError

#: The project's own folder: the lab's nodes import the driver from here.
PROJECT = Path(__file__).resolve().parent.parent

#: Where the work folder is seen by every process of the lab. It is short, because the
#: path of a Unix socket may have no more than 107 characters.
INSIDE = Path("/run/lab")


class WorkFolder:
    """A lab's work folder on the host.

    Args:
        path: the folder, made when it is missing. By default ``$TAIKUN_LAB_DIR``, or
            ``.lab`` in the project's folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        default = os.environ.get("TAIKUN_LAB_DIR") or PROJECT / ".lab"
        self.path = Path(path or default).resolve()
        self.logs = self.path / "logs"
        self._state = self.path / "state.json"

    def prepare(self) -> None:
        """Empty the folder of an earlier lab's remains and lay the fixed folders."""
        self.path.mkdir(parents=True, exist_ok=True)
        for entry in self.path.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for name in ("logs", "net", "nodes", "etc", "tmp"):
            (self.path / name).mkdir()
        # Services drop their privileges and still want to write below these.
        self.path.chmod(0o755)
        (self.path / "tmp").chmod(0o1777)
        self.logs.chmod(0o1777)

    def inside(self, *parts: str) -> str:
        """Give a path of the folder as the lab's processes and its nodes see it."""
        return str(INSIDE.joinpath(*parts))

    def log(self, name: str) -> Path:
        """Give the path of the log of one daemon or node."""
        return self.logs / f"{name}.log"

    def save(self, state: dict[str, Any]) -> None:
        """Note what a later command needs to find the running lab again."""
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(state, indent=1))
        draft.replace(self._state)

    def load(self) -> dict[str, Any] | None:
        """Give what :meth:`save` noted, or None where no lab was brought up."""
        try:
            return dict(json.loads(self._state.read_text()))
        except FileNotFoundError:
            return None

    def forget(self) -> None:
        """Note that no lab runs here any more; its logs stay to be read."""
        self._state.unlink(missing_ok=True)

    def lock(self) -> TextIO:
        """Keep other commands from changing this lab until the result is closed.

        Raises:
            LabError: another process is bringing the lab up or down right now.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = (self.path / "lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise LabError(
                f"another command is working on the lab in {self.path}; wait for it, "
                "or choose another folder with TAIKUN_LAB_DIR"
            ) from None
        return handle
