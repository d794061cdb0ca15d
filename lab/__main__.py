# SPDX-License-Identifier: Apache-2.0
"""Runs the lab's command line: ``python -m lab VERB``."""

import sys

from lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
