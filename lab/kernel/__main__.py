# SPDX-License-Identifier: Apache-2.0
"""Finds or builds the lab's kernel: ``python -m lab.kernel prepare|build``."""

import argparse
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
    try:
        VERBS[verb](Terminal.say)
    except LabError as error:
        Terminal.complain(f"lab.kernel {verb}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
