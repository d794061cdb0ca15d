# SPDX-License-Identifier: Apache-2.0
"""What belongs to this driver, by root's word: its targets and its volume groups.

The callers' word does not count, nor a file that they name (privsep-helper's
``--config-file``): whoever controls the user of cinder-volume chooses both. So it is
one file at a fixed place, which only root can change. Without it the back ends of
cinder.conf count, if that file, at its usual place, is root's alone as well; otherwise
Cinder's own defaults, for a node with one plain back end.
"""

import configparser
import dataclasses
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from taikun_cinder.privsep import cinder_conf

FILE = Path("/etc/taikun_cinder/privileged.conf")

SECTION = "taikun_cinder"

#: Cinder's own, where packages put it.
CINDER = Path("/etc/cinder/cinder.conf")

#: What was read last of a file that was root's alone: the folders that it and all links
#: to it are in, the state of these and of the file, and what it said.
_seen: dict[Path, tuple[tuple[str, ...], tuple[object, ...], "Ours"]] = {}

#: Where the kernel tells about a block device by its number.
_DEVICES = Path("/sys/dev/block")

# LVM's own characters for names (lvm(8)).
_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")
_LOGICAL_VOLUME = re.compile(rf"/dev/({_NAME.pattern})/({_NAME.pattern})")


@dataclasses.dataclass(frozen=True)
class Ours:
    """What root lets the driver use; as Cinder's options are by default.

    Attributes:
        target_prefixes: what the names of its targets begin with.
        volume_groups: whose logical volumes it may export.
    """

    target_prefixes: tuple[str, ...] = ("iqn.2010-10.org.openstack:",)
    volume_groups: tuple[str, ...] = ("cinder-volumes",)


def current() -> Ours:
    """Give what root's file says now.

    Raises:
        ValueError: it cannot be believed or read.
    """
    try:
        return _read(FILE, _parsed)
    except FileNotFoundError:
        return _of_cinder()
    except (OSError, UnicodeError, configparser.Error) as error:
        raise _wrong(f"it cannot be read: {error}") from None


def _of_cinder() -> Ours:
    """Give what cinder.conf says, if it can be believed and read."""
    try:
        return _read(CINDER, _back_ends)
    except (OSError, ValueError, configparser.Error):
        return Ours()


def _read(path: Path, parse: Callable[[str], Ours]) -> Ours:
    """Read a file that is root's alone, if it is not the same as the last time.

    Raises:
        ValueError: others can change it.
    """
    if path in _seen:
        folders, before, said = _seen[path]
        if before == _state(path, folders):
            return said
    folders = _folders(path)
    now = _state(path, folders)
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        _refuse_strangers(path, found, folders)
        said = parse(os.read(file, found.st_size).decode())
    finally:
        os.close(file)
    _seen[path] = folders, now, said
    return said


def _state(path: Path, folders: Iterable[str]) -> tuple[object, ...]:
    """Give what differs when a file is another, or may be changed by others."""
    file, above = os.stat(path), map(os.stat, folders)
    return (
        (file.st_dev, file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size),
        *((folder.st_ino, folder.st_mode, folder.st_uid) for folder in above),
    )


def _back_ends(text: str) -> Ours:
    usual = Ours()
    found = list(cinder_conf.back_ends(text))
    prefixes = [
        one.get("target_prefix") or one.get("iscsi_target_prefix") for one in found
    ]
    groups = [one.get("volume_group") for one in found]
    return (
        Ours(
            tuple(dict.fromkeys(one or usual.target_prefixes[0] for one in prefixes)),
            tuple(dict.fromkeys(one or usual.volume_groups[0] for one in groups)),
        )
        if found
        else usual
    )


def prefixes(prefix: str) -> tuple[str, ...]:
    """Give what the names of our targets with a prefix begin with.

    Raises:
        ValueError: we have none such; with the file, the option and the cure.
    """
    allowed = current().target_prefixes
    found = tuple(
        max(ours, prefix, key=len)
        for ours in allowed
        if ours.startswith(prefix) or prefix.startswith(ours)
    )
    if not found:
        raise ValueError(_refused(prefix, "target", "target_prefixes", allowed))
    return found


def refuse_group(group: str) -> None:
    """Refuse a volume group that is not ours.

    Raises:
        ValueError: with the file, the option and the cure.
    """
    allowed = current().volume_groups
    if group not in allowed:
        raise ValueError(_refused(group, "volume group", "volume_groups", allowed))


def refuse_target(name: str) -> None:
    """Refuse the name of a target that is not ours: a prefix and a volume's name.

    Raises:
        ValueError: with the file, the option and the cure.
    """
    allowed = current().target_prefixes
    if not any(
        name.startswith(ours) and _NAME.fullmatch(name.removeprefix(ours))
        for ours in allowed
    ):
        raise ValueError(_refused(name, "target", "target_prefixes", allowed))


def is_roots_alone(folder: Path) -> bool:
    """Say whether a folder is one, and nobody else can change or replace it."""
    try:
        found = os.lstat(folder)
        _refuse_strangers(folder, found, _folders(folder))
    except (OSError, ValueError):
        return False
    # Who may make files there, sticky or not, may make links.
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and not shared


def node(path: str) -> str:
    """Give the device node of a logical volume of ours.

    The kernel is given this, and not the link that leads there: nothing can be put in
    its place between this look and the kernel's.

    Args:
        path: ``/dev/GROUP/NAME``.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is none.
    """
    real = Path(os.path.realpath(path))
    _refuse_device(path, real, real.stat())
    return str(real)


def opened(path: str) -> int:
    """Open a logical volume of ours, to read; give the descriptor.

    It is looked at again when it is open: it cannot be exchanged any more.

    Args:
        path: ``/dev/GROUP/NAME``.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is none.
    """
    real = node(path)
    file = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _refuse_device(path, Path(real), os.fstat(file))
    except BaseException:
        os.close(file)
        raise
    return file


def _refuse_device(path: str, real: Path, found: os.stat_result) -> None:
    """Refuse what is no logical volume of ours, though a path leads there.

    Raises:
        ValueError: it is none.
    """
    if not stat.S_ISBLK(found.st_mode):
        raise ValueError(f"{path} is no block device")
    allowed = current().volume_groups
    named = _LOGICAL_VOLUME.fullmatch(path)
    if named is None or named[1] not in allowed:
        raise ValueError(_refused(path, "logical volume", "volume_groups", allowed))
    wanted = "-".join(part.replace("-", "--") for part in named.groups())
    if mapped(real, found.st_rdev) != wanted:
        raise ValueError(f"{path} leads to {real}, which is not that logical volume")


def mapped(_real: Path, number: int) -> str | None:
    """Give the device mapper's name of a logical volume; None if it is none."""
    folder = _DEVICES / f"{os.major(number)}:{os.minor(number)}" / "dm"
    try:
        if not (folder / "uuid").read_text().startswith("LVM-"):
            return None
        return (folder / "name").read_text().rstrip("\n")
    except FileNotFoundError:
        return None


def _refused(value: str, kind: str, option: str, allowed: tuple[str, ...]) -> str:
    return (
        f"{value!r} is no {kind} of ours: root allows {', '.join(allowed) or 'none'} "
        f"(option {option} of section [{SECTION}] in {FILE}"
        f"{_instead()}). If it belongs to a back end of this driver, let root add it "
        "there"
    )


def _instead() -> str:
    """Say what holds where root's file is not there."""
    if FILE.exists():
        return ""
    if CINDER in _seen:
        return f", which is not there: this is what {CINDER} says"
    return f", which is not there, and {CINDER} is not root's alone: the defaults hold"


def _refuse_strangers(path: Path, file: os.stat_result, folders: Iterable[str]) -> None:
    """Refuse a file that somebody else than root can change, or put in its place."""
    _refuse_shared(os.path.realpath(path), file)
    for folder in folders:
        _refuse_shared(folder, os.stat(folder))


def _folders(path: Path) -> tuple[str, ...]:
    """Give the folders that a file is in, and all links that lead to it."""
    places = (*_links(os.fspath(path)), os.path.realpath(path))
    return tuple(dict.fromkeys(itertools.chain.from_iterable(map(_above, places))))


def _above(place: str) -> Iterator[str]:
    """Give the folders that a path is in."""
    while (folder := os.path.dirname(place)) != place:
        yield folder
        place = folder


def _links(path: str) -> Iterator[str]:
    """Give a path, and what it leads to, link by link."""
    yield path
    while os.path.islink(path):
        path = os.path.join(os.path.dirname(path), os.readlink(path))
        yield path


def _refuse_shared(place: str, found: os.stat_result) -> None:
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if found.st_mode & stat.S_ISVTX:
        shared = 0  # only a file's owner can replace it there
    if found.st_uid not in (0, os.geteuid()) or shared:
        raise _wrong(
            f"{place} can be changed by others than root. Run: chown root {place}; "
            f"chmod go-w {place}"
        )


def _parsed(text: str) -> Ours:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    names = {field.name for field in dataclasses.fields(Ours)}
    section = dict(parser[SECTION]) if parser.has_section(SECTION) else {}
    if unknown := sorted(section.keys() - names):
        raise _wrong(f"there is no option {', '.join(unknown)}")
    lists = {
        name: tuple(text.replace(",", " ").split()) for name, text in section.items()
    }
    return Ours(**lists)


def _wrong(cause: str) -> ValueError:
    return ValueError(f"{FILE}, which says what root allows, is not used: {cause}")
