# SPDX-License-Identifier: Apache-2.0
"""Reads the configuration that cinder-volume reads."""

import shlex
from collections.abc import Iterator, Sequence

from cinder import utils
from cinder.common import config  # noqa: F401 - registers Cinder's options
from oslo_config import cfg
from oslo_log import log as logging
from oslo_privsep import priv_context

from taikun_cinder import words

CONF = cfg.CONF


class UnreadableError(Exception):
    """The configuration is missing or broken; the text says where."""


def read(
    program: str, files: Sequence[str], folders: Sequence[str], *, debug: bool
) -> None:
    """Read it, begin to log as it says, and tell oslo.privsep how to become root.

    Args:
        program: the name of the command.
        files: to be read instead of cinder-volume's, if there are any here.
        folders: the same for those of which all files are read.
        debug: whether to log more than the configuration says.

    Raises:
        UnreadableError: it cannot be used.
    """
    try:
        arguments = [*_arguments(files, folders), *["--debug"] * debug]
        _read(program, arguments, debug=debug)
    except cfg.ConfigFilesNotFoundError as error:
        missing = ", ".join(error.config_files)
        raise UnreadableError(
            f"these files are missing: {missing}. Run this on the storage node (in the "
            "container of cinder-volume, if it has one), or name cinder-volume's files "
            "by --config-file"
        ) from error
    except cfg.ConfigFilesPermissionDeniedError as error:
        closed = ", ".join(error.config_files)
        raise UnreadableError(
            f"this user may not read {closed}: run this as the user of cinder-volume"
        ) from error
    except Exception as error:  # oslo.log raises all kinds for an option of its own
        kind = "" if isinstance(error, cfg.Error) else f"{type(error).__name__}: "
        raise UnreadableError(
            f"the configuration cannot be read: {kind}{words.cause(error)}"
        ) from error


def _arguments(files: Sequence[str], folders: Sequence[str]) -> Iterator[str]:
    yield from (f"--config-file={file}" for file in files)
    yield from (f"--config-dir={folder}" for folder in folders)


def _read(program: str, arguments: Sequence[str], *, debug: bool) -> None:
    logging.register_options(CONF)
    CONF(
        arguments,
        project="cinder",
        prog=program,
        default_config_files=cfg.find_config_files("cinder", "cinder-volume"),
        default_config_dirs=cfg.find_config_dirs("cinder", "cinder-volume"),
    )
    if not CONF.config_file and not CONF.config_dir:
        raise cfg.ConfigFilesNotFoundError(["/etc/cinder/cinder.conf"])
    _log(debug=debug)
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))


def _log(*, debug: bool) -> None:
    """Begin to log as the configuration says; without a place there, to the stderr.

    oslo.log would take the standard output, which is for answers. And what is logged
    where an operator reads them is no more than warnings, unless there is ``--debug``.

    Args:
        debug: whether there is. That the service logs more is no wish of its reader's.

    Raises:
        cfg.Error: the log cannot be written.
    """
    aside = not (CONF.log_file or CONF.log_dir or CONF.use_journal)
    if aside:
        CONF.set_override("use_stderr", True)
    try:
        logging.setup(CONF, "cinder")
    except OSError as error:
        raise cfg.Error(
            f"its log cannot be written ({error}); run this as cinder-volume's user"
        ) from None
    if aside and not debug:
        for handler in logging.getLogger(None).logger.handlers:
            handler.setLevel(logging.WARNING)
