# SPDX-License-Identifier: Apache-2.0
"""The commands that an operator, or the node's boot, runs on a storage node."""

import subprocess
from pathlib import Path

from lab.guest import service_user
from lab.services.cinder_conf import ETC


def call(*arguments: str, settings: str = "") -> tuple[int, str, str]:
    """Run ``taikun-cinder`` as cinder-volume's user.

    Args:
        arguments: the verb and its own.
        settings: a further configuration file's content, which overrides cinder.conf.

    Returns:
        the exit status, the answer, and the complaints.
    """
    override = Path(ETC, "operator.conf")
    override.write_text(settings)
    override.chmod(0o644)
    command = [str(service_user.BIN / "taikun-cinder")]
    for path in (Path(ETC, "cinder.conf"), override):
        command += ["--config-file", str(path)]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        user=service_user.USER,
        group=service_user.USER,
        extra_groups=[],
        env=service_user.environment(),
        timeout=200,
    )
    return done.returncode, done.stdout, done.stderr


def restore(settings: str = "") -> str:
    """Restore the node's exports; give what was printed.

    Raises:
        RuntimeError: the command ended with another status than 0.
    """
    status, said, complaints = call("restore", settings=settings)
    if status:
        raise RuntimeError(f"restore ended with {status}: {said}{complaints}")
    return said
