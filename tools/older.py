# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that need no kernel on an older release of Cinder, each day another.

    python tools/older.py [ARGUMENT OF PYTEST ...]

CI has no time for all of them in each run. TAIKUN_LAB_TURN chooses, as it does for the
lab's tests: the number of a day since 1970, by default today's. What has nothing to do
with the release is left out; tox -e cinder26, and so on, run it too.
"""

import os
import subprocess
import sys
import time

from environment import ROOT, Environment

#: These use neither Cinder nor a library that its releases have in other versions, or
#: imitate it.
_THE_SAME_ON_ALL = (
    "tests/unit/access",
    "tests/unit/chaos",
    "tests/unit/cli/test_topology_page.py",
    "tests/unit/lab",
    "tests/unit/monitoring/test_alerts.py",
    "tests/unit/privsep/test_any_call.py",
    "tests/unit/privsep/test_look.py",
    "tests/unit/privsep/test_plans.py",
    "tests/unit/simulate",
    "tests/unit/targets/lio/test_audit.py",
    "tests/unit/targets/lio/test_plan.py",
    "tests/unit/test_devstack.py",
    "tests/unit/test_documents.py",
    "tests/unit/test_ocf.py",
    "tests/unit/test_packaging.py",
    "tests/unit/test_rooms.py",
    "tests/unit/test_tempest_verdict.py",
)


def _release() -> str:
    """Give the name of this turn's environment."""
    releases = sorted(path.stem for path in (ROOT / "constraints").glob("cinder*.txt"))
    turn = os.environ.get("TAIKUN_LAB_TURN") or int(time.time() / 86400)
    try:
        return releases[int(turn) % len(releases)]
    except ValueError:
        sys.exit(f"older.py: TAIKUN_LAB_TURN must be a whole number, and is {turn!r}")


if __name__ == "__main__":
    environment = Environment(_release())
    environment.fill()
    print(f"running the tests in {environment.path}", flush=True)
    python = str(environment.path / "bin" / "python")
    left_out = [f"--ignore={tests}" for tests in _THE_SAME_ON_ALL]
    tests = ["-m", "pytest", "tests/unit", *left_out, *sys.argv[1:]]
    sys.exit(subprocess.run([python, *tests], cwd=ROOT, check=False).returncode)
