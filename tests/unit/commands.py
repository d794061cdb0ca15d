# SPDX-License-Identifier: Apache-2.0
"""Our commands, each call in a process of its own that has imported them already.

To import a command takes two seconds and to call it none, so the calls are forked off
one process that has done so. They share nothing else: neither options nor threads.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_MODULES = ("taikun_cinder.cli.main", "taikun_cinder.status.main")

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([*_MODULES, __name__])


def call(
    module: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m MODULE ARGUMENTS`` with nothing on its standard input.

    Args:
        module: of ``_MODULES``, which has ``main()``.
        arguments: of the command line.
        environment: all of its variables.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        process = _processes.Process(
            target=_run, args=(module, arguments, environment, out, err)
        )
        process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            [module, *arguments], process.exitcode, out.read_text(), err.read_text()
        )


def _run(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    out: Path,
    err: Path,
) -> None:
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        mode = os.O_RDWR | os.O_CREAT
        os.dup2(os.open(path, mode, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("ignore")
    sys.argv = [importlib.import_module(module).__file__ or module, *arguments]
    sys.exit(importlib.import_module(module).main())
