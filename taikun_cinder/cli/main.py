# SPDX-License-Identifier: Apache-2.0
"""Reads the command line and cinder.conf, and calls the verb."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder import utils, version  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_privsep import priv_context  # noqa: E402
from oslo_utils import importutils  # noqa: E402

CONF = cfg.CONF

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
    CONF.register_cli_opt(cfg.SubCommandOpt("verb", title="verbs", handler=_parsers))
    logging.register_options(CONF)
    CONF(argv, project="cinder", version=version.version_string())
    logging.setup(CONF, "cinder")
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    return int(_verb(CONF.verb.name).run())


def _parsers(subparsers: Any) -> None:
    for name in _VERBS:
        verb = _verb(name)
        parser = subparsers.add_parser(name, help=verb.HELP, description=verb.HELP)
        verb.arguments(parser)


def _verb(name: str) -> Any:
    return importutils.import_module(_VERBS[name])


if __name__ == "__main__":
    sys.exit(main())
