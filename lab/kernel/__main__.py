# SPDX-License-Identifier: Apache-2.0
"""Finds or builds the lab's kernel: ``python -m lab.kernel prepare|build``."""

import argparse
import signal
import subprocess
import sys

from lab.errors import LabError
from lab.kernel import build, choice
from lab.progress import Terminal

VERBS = {"prepare": choice.prepare, "build": build.build}


def main() -> int:
    """Do what the command line asks; give the exit status."""
    parser = argparse.ArgumentParser(prog="lab.kernel", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    verb = parser.parse_args().verb
    # A kill ends it in the same orderly way as Ctrl-C: nothing is left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        VERBS[verb](Terminal.say)
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        Terminal.complain(f"lab.kernel {verb}: {error}")
        return 1
    except KeyboardInterrupt:
        Terminal.complain("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
