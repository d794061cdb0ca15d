# SPDX-License-Identifier: Apache-2.0
"""Serve one of OpenStack's WSGI applications: ``wsgi.py PORT THREADS MODULE [ARG]...``.

This runs inside the lab. The arguments after the module's name become ``sys.argv``,
because the applications look for their own options there.
"""

import importlib
import sys

import waitress

from lab.plan import CONTROL

#: Of a request, in bytes: an image of the smallest volume is as long as waitress takes.
_LONGEST = 2**32


def main(port: str, threads: str, module: str, *arguments: str) -> None:
    """Load ``module.application`` and serve it until the process is ended."""
    sys.argv = [module, *arguments]
    application = importlib.import_module(module).application
    waitress.serve(
        application,
        host=CONTROL,
        port=int(port),
        threads=int(threads),
        max_request_body_size=_LONGEST,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
