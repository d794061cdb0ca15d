# SPDX-License-Identifier: Apache-2.0
"""Reads the command line and cinder.conf, and calls the verb."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder import utils  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_privsep import priv_context  # noqa: E402
from oslo_utils import importutils  # noqa: E402

from taikun_cinder import version  # noqa: E402

CONF = cfg.CONF

_PROGRAM = "taikun-cinder"

#: The module of each verb. It has ``HELP``, a line for users, ``run``, which gives the
#: exit status, and ``arguments``, which adds its own to a parser.
_VERBS: Mapping[str, str] = {
    "reconcile": "taikun_cinder.cli.reconcile",
    "restore": "taikun_cinder.cli.restore",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status: 0 if all went well.

    Args:
        argv: the arguments; None for the process's own.
    """
    try:
        _configure(argv)
    except cfg.ConfigFilesNotFoundError as error:
        files = ", ".join(error.config_files)
        return _fail(f"these files are missing: {files}. Nothing was done")
    except Exception as error:  # oslo.log raises all kinds for an option of its own
        kind = "" if isinstance(error, cfg.Error) else f"{type(error).__name__}: "
        return _fail(
            f"the configuration cannot be read: {kind}{error}. Nothing was done"
        )
    try:
        return int(_verb(CONF.verb.name).run())
    except cfg.Error as error:
        return _fail(f"the configuration cannot be read: {error}")


def _configure(argv: Sequence[str] | None) -> None:
    """Read what cinder-volume reads.

    Raises:
        Exception: it is missing or broken.
    """
    CONF.register_cli_opt(cfg.SubCommandOpt("verb", title="verbs", handler=_parsers))
    logging.register_options(CONF)
    CONF(
        argv,
        project="cinder",
        prog=_PROGRAM,
        version=version.text(),
        default_config_files=cfg.find_config_files("cinder", "cinder-volume"),
        default_config_dirs=cfg.find_config_dirs("cinder", "cinder-volume"),
    )
    if not CONF.config_file and not CONF.config_dir:
        raise cfg.ConfigFilesNotFoundError(["/etc/cinder/cinder.conf"])
    try:
        logging.setup(CONF, "cinder")
    except OSError as error:
        raise cfg.Error(
            f"its log cannot be written ({error}); run this as cinder-volume's user"
        ) from None
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))


def _fail(cause: str) -> int:
    said = " ".join(cause.split())
    print(f"{_PROGRAM}: {said}", file=sys.stderr)
    return 1


def _parsers(subparsers: Any) -> None:
    for name in _VERBS:
        verb = _verb(name)
        parser = subparsers.add_parser(name, help=verb.HELP, description=verb.HELP)
        verb.arguments(parser)


def _verb(name: str) -> Any:
    return importutils.import_module(_VERBS[name])


if __name__ == "__main__":
    sys.exit(main())
