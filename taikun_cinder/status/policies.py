# SPDX-License-Identifier: Apache-2.0
"""A check of the policies that decide about multi-attach volumes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cinder import policy as cinder_policy  # noqa: F401 - registers the options
from oslo_config import cfg
from oslo_policy import policy

from taikun_cinder.policies import RULES
from taikun_cinder.status.found import Found

_NAMES = tuple(rule.name for rule in RULES)


def in_force(conf: cfg.ConfigOpts) -> Found:
    """Tell which rules are in force by the files of this node that can be read."""
    try:
        return multiattach(files_of(conf))
    except OSError as error:
        return _closed(error)


def _closed(error: OSError) -> Found:
    return Found.warning(
        f"{error.filename} cannot be looked at: {error.strerror}. Run this as a user "
        "who may read it, such as cinder-api's"
    )


def multiattach(files: Iterable[Path]) -> Found:
    """Tell which rules are in force by some files, and whether they differ.

    Args:
        files: in the order in which they count.
    """
    found, rules = Found(), dict[str, tuple[Path, str]]()
    for file in files:
        try:
            said = rules_of(file)
        except PermissionError as error:
            found += _closed(error)
            continue
        except (OSError, ValueError) as error:
            found += Found.failure(
                f"{file} cannot be read as a policy file, so cinder-api may refuse to "
                f"start: {error}"
            )
            continue
        for name in said.keys() & rules.keys():
            other, rule = rules[name]
            if rule != said[name]:
                found += Found.warning(
                    f"{name} is '{rule}' in {other} and '{said[name]}' in {file}; the "
                    "last one counts. Keep one of the profiles"
                )
        rules.update({name: (file, rule) for name, rule in said.items()})
    notes = [f"{name} is '{rule}' ({file})" for name, (file, rule) in rules.items()]
    if not (found.failures or found.warnings or rules):
        notes = ["no file has a rule for them, so members may make and share them"]
    return found + Found(notes=notes)


def files_of(conf: cfg.ConfigOpts) -> Iterator[Path]:
    """Give this node's policy files, in the order in which they count.

    cinder-api goes by them, so they count where it runs.
    """
    for name in (conf.oslo_policy.policy_file, *conf.oslo_policy.policy_dirs):
        found = conf.find_file(name)
        if not found:
            continue
        path = Path(found)
        yield from _files(path) if path.is_dir() else [path]


def _files(folder: Path) -> list[Path]:
    """List the files of a folder that oslo.policy reads: no folders, none hidden."""
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in files if path.is_file())


def rules_of(file: Path) -> Mapping[str, str]:
    """Give the rules of a file that are about multi-attach volumes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no policy file.
    """
    said = policy.parse_file_contents(file.read_text()) or {}
    if not isinstance(said, Mapping):
        raise ValueError("it has no names with rules")
    return {name: str(said[name]) for name in _NAMES if name in said}
