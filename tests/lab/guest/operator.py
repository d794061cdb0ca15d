# SPDX-License-Identifier: Apache-2.0
"""The commands that an operator, or the node's boot, runs on a storage node."""

import subprocess
from pathlib import Path

from lab.guest import service_user
from lab.services.cinder_conf import ETC


def restore(settings: str = "") -> str:
    """Run ``taikun-cinder restore`` as cinder-volume's user; give what it printed.

    Args:
        settings: a further configuration file's content, which overrides cinder.conf.

    Raises:
        RuntimeError: it ended with another status than 0.
    """
    override = Path(ETC, "restore.conf")
    override.write_text(settings)
    override.chmod(0o644)
    command = [str(service_user.BIN / "taikun-cinder")]
    for path in (Path(ETC, "cinder.conf"), override):
        command += ["--config-file", str(path)]
    done = subprocess.run(
        [*command, "restore"],
        capture_output=True,
        text=True,
        check=False,
        user=service_user.USER,
        group=service_user.USER,
        extra_groups=[],
        env=service_user.environment(),
        timeout=200,
    )
    if done.returncode:
        raise RuntimeError(
            f"restore ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout
