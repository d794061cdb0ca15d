# SPDX-License-Identifier: Apache-2.0
"""Reads the command line and cinder.conf, and calls the verb."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before

from cinder import utils, version  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from cinder.volume import configuration, driver, manager  # noqa: E402
from cinder.volume.drivers import lvm  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_privsep import priv_context  # noqa: E402

from taikun_cinder import opts, volume_groups  # noqa: E402
from taikun_cinder.cli.restore import Restore  # noqa: E402
from taikun_cinder.records import Records  # noqa: E402
from taikun_cinder.targets.lio import LioTarget  # noqa: E402

CONF = cfg.CONF

_DRIVER = "taikun_cinder.driver.MultiattachLVMDriver"


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
    return _VERBS[CONF.verb.name][0]()


def _restore() -> int:
    by_folder: dict[str, list[volume_groups.Group]] = {}
    for backend in _backends():
        group = volume_groups.Group(backend)
        by_folder.setdefault(backend.taikun_state_path, []).append(group)
    if not by_folder:
        print(f"no back end in enabled_backends has volume_driver = {_DRIVER}")
        return 1
    restore = Restore(LioTarget(), lambda line: print(line, flush=True))
    done = [
        restore.run(Records(Path(folder)), groups)
        for folder, groups in by_folder.items()
    ]
    return 0 if all(done) else 1


_VERBS: Mapping[str, tuple[Callable[[], int], str]] = {
    "restore": (
        _restore,
        "export again what this node exported last, at its boot and before "
        "cinder-volume; needs no database",
    ),
}


def _parsers(subparsers: object) -> None:
    for name, (_run, text) in _VERBS.items():
        subparsers.add_parser(name, help=text, description=text)  # type: ignore[attr-defined]


def _backends() -> Iterator[configuration.Configuration]:
    for name in CONF.enabled_backends or ():
        backend = configuration.Configuration(
            manager.volume_backend_opts, config_group=name
        )
        for options in (driver.volume_opts, lvm.volume_opts, opts.BACKEND_OPTS):
            backend.append_config_values(options)
        if backend.volume_driver == _DRIVER:
            yield backend


if __name__ == "__main__":
    sys.exit(main())
