# SPDX-License-Identifier: Apache-2.0
"""The check of the policies: which profile is in force."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from oslo_config import cfg

from taikun_cinder import policies
from taikun_cinder.checks.check import NodeCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, ok, unknown, warning
from taikun_cinder.status import policies as status_policies

_WHERE = "What counts are the files of the node that cinder-api runs on"


def _profile(_facts: Facts) -> Iterator[Finding]:
    try:
        files = list(status_policies.files_of(cfg.CONF))
    except OSError as error:
        yield _unreadable(Path(error.filename), error)
        return
    rules: dict[str, str] = {}
    said_by: dict[str, Path] = {}
    for file in files:
        try:
            said = status_policies.rules_of(file)
        except (OSError, ValueError) as error:
            yield _unreadable(file, error)
            return
        for name in said:
            if name in rules and rules[name] != said[name]:
                yield _twice(name, said_by[name], file)
            rules[name], said_by[name] = said[name], file
    if not files:
        yield unknown(
            "No policy file is on this node. Where cinder-api has none either, whoever "
            "may create volumes may share them, which is Cinder's default",
        )
        return
    yield ok(f"{_in_force(rules)}. {_WHERE}")


def _unreadable(file: Path, error: Exception) -> Finding:
    if isinstance(error, OSError):
        return unknown(
            f"{file} cannot be read: {error.strerror}",
            "Look as a user who may read it.",
        )
    return warning(
        f"{file} cannot be understood, and cinder-api neither starts nor reads it anew "
        f"with it: {' '.join(str(error).split())}",
        "Put it right; oslopolicy-validator --namespace cinder tells more. Each line "
        'is "NAME": "RULE".',
    )


def _twice(name: str, first: Path, last: Path) -> Finding:
    return warning(
        f"{name} is set by {first} and, otherwise, by {last}, and the latter counts",
        f"Leave it in one of them. Only one of the profiles is to be in {last.parent}.",
    )


def _in_force(rules: Mapping[str, str]) -> str:
    default = policies.PROFILES["open"]
    there = {name: " ".join(rules.get(name, default[name]).split()) for name in default}
    for profile, wanted in policies.PROFILES.items():
        if there == wanted:
            return f"The profile '{profile}' is in force"
    own = ", ".join(f"{name} is '{rule}'" for name, rule in there.items())
    return f"Rules of your own are in force: {own}"


CHECKS = (
    NodeCheck(
        "policy",
        "Which policy profile is in force (:doc:`policies`), and that no two files "
        "contradict each other. Only the files of ``cinder-api`` count, which may be "
        "on another node.",
        _profile,
    ),
)
