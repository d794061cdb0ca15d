# SPDX-License-Identifier: Apache-2.0
"""A kernel that the lab's nodes can boot."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from lab.errors import LabError

NOTE = "image.json"


@dataclasses.dataclass(frozen=True)
class Image:
    """A User-Mode Linux kernel.

    Attributes:
        kind: ``debian``, ``ready`` or ``own``; see :mod:`lab.kernel.choice`.
        binary: the kernel.
        modules: the folder that has a folder of modules for each release.
        origin: where it is from, to be read by a person.
        arguments: what it is started with, beside a node's own.
    """

    kind: str
    binary: Path
    modules: Path
    origin: str
    arguments: tuple[str, ...] = ()

    def command(self, name: str, memory: int, init: Path, folder: str) -> list[str]:
        """Give the command that boots the kernel, with the machine's files as its root.

        Args:
            name: what its consoles and its monitor know it by.
            memory: in MiB.
            init: the program that is its first process.
            folder: for its own files.
        """
        return [
            str(self.binary),
            f"mem={memory}M",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "rw",
            f"init={init}",
            f"lab_modules={self.modules}",
            f"umid={name}",
            f"uml_dir={folder}",
            "con=null",
            "con0=fd:0,fd:1",
            "panic=-1",
            # Warnings and worse come to the console; the boot's chatter does not.
            "quiet",
            "loglevel=5",
            *self.arguments,
        ]

    def save(self) -> None:
        """Leave a note beside the kernel, which makes its folder an image's."""
        note = {
            "kind": self.kind,
            "binary": self.binary.name,
            "modules": self.modules.name,
            "origin": self.origin,
            "arguments": self.arguments,
        }
        (self.binary.parent / NOTE).write_text(json.dumps(note, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Image":
        """Read what :meth:`save` wrote.

        Raises:
            LabError: there is no image in the folder.
        """
        try:
            note = json.loads((folder / NOTE).read_text())
            return cls(
                kind=note["kind"],
                binary=folder / note["binary"],
                modules=folder / note["modules"],
                origin=note["origin"],
                arguments=tuple(note["arguments"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabError(f"{folder} has no kernel for the lab: {error}") from None


def installed() -> Image:
    """Give the kernel of the machine's own Debian release.

    Raises:
        LabError: it is not installed.
    """
    path = shutil.which("linux.uml", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    if path is None:
        raise LabError(
            "no User-Mode Linux is installed; tools/with-packages installs what "
            "bindep.txt names"
        )
    return Image(
        "debian",
        Path(path),
        Path("/usr/lib/uml/modules"),
        "Debian's user-mode-linux as installed",
        # As Debian's kernels for real machines do by their configuration. LIO's
        # backstore for files needs it (taikun_cinder/privsep/readers.py).
        ("init_on_alloc=1",),
    )
