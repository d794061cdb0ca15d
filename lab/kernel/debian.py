# SPDX-License-Identifier: Apache-2.0
"""Packages of other Debian suites than the machine's, by apt, beside its own state."""

import contextlib
import dataclasses
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import LabError

#: Debian's package debian-archive-keyring has them; all suites are signed by some.
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclasses.dataclass(frozen=True)
class Package:
    """A package as a suite has it.

    Attributes:
        name: the package's.
        version: the package's.
        suite: where it is from.
    """

    name: str
    version: str
    suite: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first two numbers of the version, to be compared."""
        return tuple(map(int, re.findall(r"\d+", self.version)[:2]))


@contextlib.contextmanager
def suites(names: Sequence[str]) -> Iterator["Apt"]:
    """Give some suites of Debian, without a trace in the machine's own apt.

    The lists and the cache are in a folder that ends with the block, the installed
    packages are not touched, and apt checks the signatures of what it fetches.

    Raises:
        LabError: the machine has no mirror, or the suites' lists cannot be had, or are
            not signed by Debian.
    """
    with tempfile.TemporaryDirectory(prefix="taikun-apt-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt fetches as a user without rights
        for inner in ("lists/partial", "cache/archives/partial", "packages"):
            (folder / inner).mkdir(parents=True)
        (folder / "apt.conf").write_text(_CONFIGURATION.format(folder))
        apt = Apt(folder, names)
        apt.update()
        yield apt


#: The machine's own configuration stays (a proxy, say); this comes behind it.
_CONFIGURATION = """\
#clear APT::Default-Release;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::Lists "{0}/lists";
Dir::Cache "{0}/cache";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


def _mirrors() -> list[str]:
    """Give the places that the machine has Debian from, as its own apt knows them."""
    lines = _run(["apt-get", "update", "--print-uris"])
    places = re.findall(r"^'(\S+)/dists/", lines, re.MULTILINE)
    # Debian's security updates are in an archive that has no other suites.
    ours = [place for place in dict.fromkeys(places) if "security" not in place]
    if not ours:
        raise LabError("apt on this machine has no mirror of Debian in its sources")
    return ours


class Apt:
    """apt over some suites; get it from :func:`suites`."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = tuple(names)

    def update(self) -> None:
        """Fetch the lists of packages, from the first mirror that has all the suites.

        Raises:
            LabError: none has; the error is the first one's.
        """
        failed = None
        for mirror in _mirrors():
            source = f"deb [signed-by={_KEYS}] {mirror} {{}} main\n"
            lines = [source.format(suite) for suite in self._names]
            (self._folder / "sources.list").write_text("".join(lines))
            try:
                self._apt("apt-get", "update", "--error-on=any")
            except LabError as error:
                failed = failed or error
            else:
                return
        assert failed is not None  # noqa: S101 - there is at least one mirror
        raise failed

    def find(self, pattern: str) -> list[Package]:
        """Give the packages whose whole name matches, the newest version first.

        Args:
            pattern: a regular expression.
        """
        names = self._apt("apt-cache", "pkgnames").split()
        wanted = [name for name in names if re.fullmatch(pattern, name)]
        if not wanted:
            return []
        found = []
        for line in self._apt("apt-cache", "madison", *wanted).splitlines():
            name, version, source = map(str.strip, line.split("|"))
            if source.endswith("Packages"):
                suite = next(known for known in self._names if f" {known}/" in source)
                found.append(Package(name, version, suite))
        return sorted(found, key=lambda package: package.numbers, reverse=True)

    def unpack(self, package: Package, into: Path) -> None:
        """Fetch a package and unpack its files below a folder.

        Raises:
            LabError: it cannot be had, is not what Debian signed, or there is no room.
        """
        place = self._folder / "packages"
        place.chmod(0o777)
        self._apt("apt-get", "download", f"{package.name}={package.version}")
        (file,) = place.glob("*.deb")
        _run(["dpkg-deb", "--extract", str(file), str(into)])
        file.unlink()

    def _apt(self, command: str, *arguments: str) -> str:
        configuration = f"--config-file={self._folder / 'apt.conf'}"
        return _run([command, configuration, *arguments], self._folder / "packages")


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it does not say why"]
        errors = [line for line in said if line.startswith("E:")] or said
        raise LabError(f"{command[0]}: {errors[-1]}")
    return done.stdout
