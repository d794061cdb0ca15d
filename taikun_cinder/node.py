# SPDX-License-Identifier: Apache-2.0
"""The storage node that the driver runs on, as its kernel tells about itself."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder.network import Network

#: The number of the process namespace that the kernel starts with (PROC_PID_INIT_INO in
#: include/linux/proc_ns.h).
_FIRST_NAMESPACE = "pid:[4026531836]"

#: What Docker and Podman leave in a container (systemd-detect-virt goes by them, too).
_MARKS = (".dockerenv", "run/.containerenv")

#: Where systemd has units, and the links that say which it starts.
_UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")


@functools.cache  # each request writes it into a record
def machine_id(root: Path = Path("/")) -> str:
    """Give what tells this installation of a system from others, see machine-id(5).

    It stays when the node gets another name. It is empty where there is none, as in
    many containers.
    """
    try:
        return (root / "etc/machine-id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A fault of a node or its configuration, and the cure.

    Attributes:
        fault: what is wrong.
        cure: what to do.
        tolerable: whether the back end can start all the same. Then it is a warning.
    """

    fault: str
    cure: str
    tolerable: bool = False


@dataclasses.dataclass(frozen=True)
class FileSystem:
    """A file system of the node, where it is mounted.

    Attributes:
        folder: where.
        kind: ``ext4``, ``tmpfs`` and the like.
        read_only: whether nobody can write there.
    """

    folder: Path
    kind: str
    read_only: bool


@dataclasses.dataclass(frozen=True)
class Node:
    """The places where the running kernel tells about itself, and its network."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    modules: Path = Path("/lib/modules")
    root: Path = Path("/")
    network: Network = dataclasses.field(default_factory=Network)

    @property
    def release(self) -> str:
        """The version of the running kernel, as ``uname -r`` gives it."""
        return (self.proc / "sys/kernel/osrelease").read_text().strip()

    @property
    def in_container(self) -> bool:
        """Whether this process runs in a container."""
        if any((self.root / mark).exists() for mark in _MARKS):
            return True
        with contextlib.suppress(OSError):
            return os.readlink(self.proc / "self/ns/pid") != _FIRST_NAMESPACE
        return False

    @property
    def has_systemd(self) -> bool:
        """Whether systemd starts what is started here.

        A container may see its directory of the node's /run, as kolla's do.
        """
        if not (self.root / "run/systemd/system").is_dir():
            return False
        if not self.in_container:
            return True
        with contextlib.suppress(OSError):
            return (self.proc / "1/comm").read_text().strip() == "systemd"
        return False

    def file_system(self, path: Path) -> FileSystem:
        """Give the file system that a path lies in, as this process sees it."""
        found = FileSystem(Path("/"), "", read_only=False)
        for _, folder, kind, options, *_ in _fields(self.proc / "mounts"):
            where = Path(_unescaped(folder))
            # The last one that is mounted over a place is the one that is seen there.
            inside = path == where or where in path.parents
            if inside and len(where.parts) >= len(found.folder.parts):
                found = FileSystem(where, kind, "ro" in options.split(","))
        return found

    def volume_of_container(self, path: Path) -> Path | None:
        """Give the folder that the host has for a path, if it is of another name there.

        A container's volume with a name is such a folder, below /var/lib/docker/volumes
        on the host. A file system of its own tells nothing of the host's folder.
        """
        if not self.in_container:
            return None
        shown = Path("/")
        with contextlib.suppress(OSError):
            best = 0
            for _, _, _, root, folder, *_ in _fields(self.proc / "self/mountinfo"):
                where = Path(_unescaped(folder))
                inside = path == where or where in path.parents
                if inside and len(where.parts) >= best:
                    best = len(where.parts)
                    shown = Path(_unescaped(root)) / path.relative_to(where)
        # The host may have it on a file system, or in a subvolume, of its own.
        parts, wanted = shown.parts[1:], path.parts[1:]
        shorter = min(len(parts), len(wanted))
        same = shorter == 0 or parts[-shorter:] == wanted[-shorter:]
        return None if same else shown

    def starts(self, service: str) -> bool:
        """Say whether systemd starts a service, as its links say: they are everybody's.

        Args:
            service: its unit, such as ``target.service``.
        """
        folders = [self.root / units for units in _UNITS]
        for folder in folders:
            with contextlib.suppress(OSError):
                if os.readlink(folder / service) == os.devnull:
                    return False  # masked
        return any(
            os.path.lexists(wishes / service)
            for folder in folders
            for kind in ("wants", "requires")
            for wishes in folder.glob(f"*.{kind}")
        )

    def has_module(self, name: str) -> bool:
        """Say whether the kernel has a module: loaded, built in, or to be loaded."""
        return (self.sys / "module" / name).exists() or name in self._available()

    def _available(self) -> set[str]:
        """Name the modules that can be loaded, or are part of the kernel itself."""
        names = set()
        for index in ("modules.dep", "modules.builtin"):
            with contextlib.suppress(FileNotFoundError):
                listed = (self.modules / self.release / index).read_text().splitlines()
                for line in listed:
                    file = Path(line.partition(":")[0]).name
                    names.add(file.partition(".ko")[0].replace("-", "_"))
        return names


def _fields(file: Path) -> Iterator[list[str]]:
    """Give the fields of each line of the kernel's; paths can have any other sign."""
    for line in os.fsdecode(file.read_bytes()).split("\n"):
        if line:
            yield line.split(" ")


def _unescaped(text: str) -> str:
    """Undo what the kernel does to blanks in a path (seq_path() in fs/seq_file.c)."""
    for character in (" ", "\t", "\n", "\\"):
        text = text.replace(f"\\{ord(character):03o}", character)
    return text


def missing_modules(node: Node, names: tuple[str, ...]) -> list[Problem]:
    """Give a problem for each module that the running kernel does not have."""
    return [
        Problem(
            f"The running kernel {node.release} has no module {name}: it is not "
            f"loaded, and {node.modules / node.release} does not have it",
            f"Install the kernel's package that has it for {node.release}, or "
            f"boot a kernel that has them; in a container, load it on the host with "
            f"modprobe {name}.",
        )
        for name in names
        if not node.has_module(name)
    ]
