# SPDX-License-Identifier: Apache-2.0
"""Calls tempest, which has a Python environment of its own, inside the lab."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from lab.errors import LabError
from lab.sandbox import Sandbox
from lab.workdir import PROJECT
from tests.tempest.verdict import Outcome

#: tools/environment.py fills it.
BIN = PROJECT / ".tox/venv-tempest/bin"

_OUTCOMES = Path(__file__).with_name("outcomes.py")

#: Of each test's name, where tempest lists them among other things: its attributes.
_TEST = re.compile(r"\[.*\bid-.*\]$")


def version(name: str) -> str:
    """Give the version of a package in tempest's environment."""
    places = [str(place) for place in BIN.parent.glob("lib/*/site-packages")]
    return next(iter(metadata.distributions(name=name, path=places))).version


class Tempest:
    """Tempest in its folder, with its configuration and the streams of its runs.

    Args:
        sandbox: the lab's namespaces.
        folder: which has ``tempest.conf``.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = sandbox
        self._folder = folder

    def listed(self, tests: Sequence[str]) -> list[str]:
        """Give the names of the tests that the regular expressions select.

        Raises:
            LabError: tempest fails, or none is selected.
        """
        self._forget_runs()
        told = self._output(*self._run(tests), "--list-tests").decode()
        if not (names := [line for line in told.splitlines() if _TEST.search(line)]):
            raise LabError(f"none of tempest's tests matches {' or '.join(tests)}")
        return names

    def run(self, tests: Sequence[str], workers: int) -> None:
        """Run the tests; tempest tells of each as it ends.

        Its status is not needed: a test that it did not run has no outcome.
        """
        words = [*self._run(tests), "--concurrency", str(workers)]
        subprocess.run(self._inside(words), env=self._environment(), check=False)

    def outcomes(self) -> dict[str, Outcome]:
        """Give the outcomes of the last run, by the test's name or its class's.

        Raises:
            LabError: there was none.
        """
        stream = self._output("stestr", "last", "--subunit")
        words = [str(BIN / "python"), "-I", str(_OUTCOMES)]
        read = subprocess.run(words, input=stream, stdout=subprocess.PIPE, check=True)
        found = json.loads(read.stdout)
        return {name: Outcome(**outcome) for name, outcome in found.items()}

    def _forget_runs(self) -> None:
        # Or the last run would be taken for the next one, if that does not begin.
        shutil.rmtree(self._folder / ".stestr", ignore_errors=True)
        # tempest lists nothing without it.
        words = self._inside(["stestr", "init"])
        subprocess.run(words, env=self._environment(), check=True)

    @staticmethod
    def _run(tests: Sequence[str]) -> list[str]:
        regex = ["--regex", " ".join(tests)]
        return ["tempest", "run", "--config-file", "tempest.conf", *regex]

    def _output(self, *words: str) -> bytes:
        done = subprocess.run(
            self._inside(words),
            env=self._environment(),
            capture_output=True,
            check=False,
        )
        # stestr ends with 1 where a test failed, too.
        if done.stdout:
            return done.stdout
        raise LabError(f"{' '.join(words)} failed:\n{done.stderr.decode()[-2000:]}")

    def _inside(self, words: Sequence[str]) -> list[str]:
        there = ["env", f"--chdir={self._folder}", str(BIN / words[0])]
        return self._sandbox.wrap([*there, *words[1:]])

    def _environment(self) -> dict[str, str]:
        """Give an environment without anything of the caller's, as OS_* variables."""
        return {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
        }
