# SPDX-License-Identifier: Apache-2.0
"""Reads the command line and cinder.conf, and makes the checks.

Its exit status is that of other services' ``status`` commands: 0 if all is well, 1 for
warnings, 2 for a failure, and 255 if the checks could not be made.
"""

import sys
from collections.abc import Sequence

from cinder import version as cinder_version
from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from taikun_cinder import version, words

_PROGRAM = "taikun-cinder-status"

#: The releases of Cinder that this version works with; requirements.txt says the same.
RELEASES = range(26, 30)

#: What other services' commands end with if they fail themselves.
_CANNOT_CHECK = 255


def main(argv: Sequence[str] | None = None) -> int:
    """Make the checks; give the exit status.

    Args:
        argv: the arguments; None for the process's own.
    """
    release = str(cinder_version.version_string())
    if int(release.partition(".")[0]) not in RELEASES:
        # Its modules may not be where the checks look for them.
        _say(
            f"Cinder {release} is installed here ({sys.prefix}), and this version of "
            f"taikun_cinder works with {RELEASES[0]} to {RELEASES[-1]}. Install a "
            "version of taikun_cinder that is made for it before the services start."
        )
        return int(upgradecheck.Code.FAILURE)
    from taikun_cinder.status.checks import Checks  # noqa: PLC0415 - see above

    try:
        _configure(argv, Checks())
    except (cfg.Error, OSError) as error:
        _say(f"the configuration cannot be read: {words.cause(error)}")
        return _CANNOT_CHECK
    return int(upgradecheck.run(cfg.CONF))


def _configure(
    argv: Sequence[str] | None, checks: upgradecheck.UpgradeCommands
) -> None:
    """Read what cinder-volume reads.

    Raises:
        cfg.Error: it is missing or broken.
    """
    upgradecheck.register_cli_options(cfg.CONF, checks)
    cfg.CONF(
        argv,
        project="cinder",
        prog=_PROGRAM,
        version=version.text(),
        default_config_files=cfg.find_config_files("cinder", "cinder-volume"),
        default_config_dirs=cfg.find_config_dirs("cinder", "cinder-volume"),
    )
    upgradecheck.CONF = cfg.CONF  # by which it finds --json
    if not cfg.CONF.config_file and not cfg.CONF.config_dir:
        raise cfg.ConfigFilesNotFoundError(["/etc/cinder/cinder.conf"])


def _say(cause: str) -> None:
    print(f"{_PROGRAM}: {' '.join(cause.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
