# SPDX-License-Identifier: Apache-2.0
"""The storage node that the driver runs on, as its kernel tells about itself."""

import contextlib
import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Problem:
    """A fault of a node or its configuration, and the cure."""

    fault: str
    cure: str


@dataclasses.dataclass(frozen=True)
class Node:
    """The places where the running kernel tells about itself."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    modules: Path = Path("/lib/modules")

    @property
    def release(self) -> str:
        """The version of the running kernel, as ``uname -r`` gives it."""
        return (self.proc / "sys/kernel/osrelease").read_text().strip()

    def is_mounted(self, folder: str, kind: str) -> bool:
        """Say whether a file system of a kind is mounted at a folder."""
        mounts = (self.proc / "mounts").read_text().splitlines()
        return any(mount.split()[1:3] == [folder, kind] for mount in mounts)

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
