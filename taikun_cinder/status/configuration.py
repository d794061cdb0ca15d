# SPDX-License-Identifier: Apache-2.0
"""Checks of cinder.conf beyond the values of options."""

import difflib
import importlib.metadata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cinder.volume import configuration
from oslo_config import cfg

from taikun_cinder import opts
from taikun_cinder.status.found import Found

_FILTER = "TaikunMultiattachFilter"

#: Those of our options that do nothing without the filter.
_BY_FILTER = ("taikun_multiattach_only", "taikun_max_multiattach_volumes")


def unknown_options(conf: cfg.ConfigOpts) -> Found:
    """Look for options of ours that nobody reads: misspelt, renamed, or misplaced."""
    found = Found()
    known = {option.name for option in opts.BACKEND_OPTS}
    for file in _files(conf):
        for section, name in sorted(_ours(file)):
            if name not in known:
                like = difflib.get_close_matches(name, known, 1)
                meant = f"; {like[0]} may be meant" if like else ""
                found += Found.warning(
                    f"{file} sets {name} in [{section}], and this version has no such "
                    f"option{meant}"
                )
            elif section == "DEFAULT":
                found += Found.warning(
                    f"{file} sets {name} in [DEFAULT], where no back end looks: set it "
                    f"in the back end's section, or in "
                    f"[{configuration.SHARED_CONF_GROUP}]"
                )
    return found


def _files(conf: cfg.ConfigOpts) -> Iterator[Path]:
    yield from map(Path, conf.config_file or ())
    for folder in conf.config_dir or ():
        yield from sorted(Path(folder).glob("*.conf"))


def _ours(file: Path) -> set[tuple[str, str]]:
    """Give the options of ours that a file sets, each with its section."""
    sections: dict[str, dict[str, Any]] = {}
    cfg.ConfigParser(str(file), sections).parse()
    return {
        (section, name)
        for section, options in sections.items()
        for name in options
        if name.startswith("taikun_")
    }


def scheduler_filter(filters: Collection[str]) -> Found:
    """See that the scheduler has our filter, and finds it.

    Args:
        filters: the names in scheduler_default_filters.
    """
    installed = importlib.metadata.entry_points(
        group="cinder.scheduler.filters", name=_FILTER
    )
    if _FILTER in filters and not installed:
        return Found.failure(
            f"scheduler_default_filters names {_FILTER}, and no installed package has "
            "it: cinder-scheduler would not start. Install taikun_cinder where it runs"
        )
    if _FILTER not in filters:
        return Found.warning(
            f"scheduler_default_filters has no {_FILTER}, so nobody keeps multi-attach "
            "volumes from back ends that cannot serve them. If cinder-scheduler reads "
            "another cinder.conf, look there"
        )
    return Found()


def needs_filter(name: str, options: Any, filters: Collection[str]) -> Found:
    """See that no option of a back end does nothing for want of the filter."""
    if _FILTER in filters:
        return Found()
    idle = [option for option in _BY_FILTER if getattr(options, option)]
    return Found(
        warnings=[f"[{name}] {option} does nothing without it" for option in idle]
    )
