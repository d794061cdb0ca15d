# SPDX-License-Identifier: Apache-2.0
"""The command, called in this process, for the back ends of a small cloud."""

import contextlib
import dataclasses
import errno
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cinder import coordination
from oslo_config import cfg
from oslo_db import exception as db_exception

from taikun_cinder import database
from taikun_cinder.cli import backends, configuration
from taikun_cinder.cli.compared import ComparedBackend
from taikun_cinder.cli.main import Application
from taikun_cinder.records import Records
from taikun_cinder.volume_groups import Group
from tests.unit.cloud import Cloud


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a call of the command."""

    status: int
    out: str
    complaints: str

    @property
    def json(self) -> Any:
        """What was printed, where JSON was asked for."""
        return json.loads(self.out)


def backend_of(cloud: Cloud) -> ComparedBackend:
    """Give the back end as a process beside cinder-volume's has it."""
    options = cloud.driver.configuration
    return ComparedBackend(
        cloud.manager.host.partition("@")[2],
        options,
        Group(options.volume_group, lambda: cloud.driver.vg),
        lambda: cloud.target,
        Records(Path(options.taikun_state_path)),
    )


class GoneLock:
    """A lock that has run out while its owner stood still, so that another gets it."""

    def acquire(self, blocking: bool = True) -> bool:
        """Give it to anybody."""
        return True

    def release(self) -> bool:
        """Say that it was not held any more."""
        return False


class Unheard(io.StringIO):
    """A pipe whose reader has ended."""

    def write(self, text: str) -> int:
        """Fail, as a write into it does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@contextlib.contextmanager
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Cinder's database say nothing meanwhile, not even no."""
    ends = threading.Event()

    def read(*_query: Any, **_values: Any) -> Any:
        assert ends.wait(60)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(database, "_read", read)
        try:
            yield
        finally:
            ends.set()
            for thread in threading.enumerate():
                if thread.name == "taikun-database":
                    thread.join()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Done]]:
    """Return a function that calls the command for some back ends."""
    cfg.CONF.set_override("host", "node")
    monkeypatch.setattr(configuration, "read", lambda *_args, **_more: None)
    # The process's own locks are those of the cloud, and go on.
    monkeypatch.setattr(coordination.COORDINATOR, "start", lambda: None)
    monkeypatch.setattr(coordination.COORDINATOR, "stop", lambda: None)

    def call(
        *arguments: str,
        found: Any = (),
        complaints: Any = (),
        **streams: Any,
    ) -> Done:
        def enabled(_kind: type, complain: Callable[[str], object]) -> list[Any]:
            for line in complaints:
                complain(line)
            return list(found)

        monkeypatch.setattr(backends, "enabled", enabled)
        out = streams.get("out", io.StringIO())
        err = streams.get("err", io.StringIO())
        application = Application(stdin=streams.get("stdin"), stdout=out, stderr=err)
        status = application.run(list(arguments))
        return Done(status, out.getvalue(), err.getvalue())

    yield call
    cfg.CONF.clear_override("host")


@pytest.fixture
def fence(cloud: Cloud, command: Callable[..., Done]) -> Callable[..., Done]:
    """Return a function that fences a host, and what came of it."""

    def fence(volume: str, host: str, *more: str) -> Done:
        return command(
            "fence", volume, host, "-f", "json", *more, found=[backend_of(cloud)]
        )

    return fence


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return a function that takes Cinder's database away, or gives it back."""

    def read(*_query: Any, **_values: Any) -> None:
        raise db_exception.DBConnectionError(OSError("no route to it"))

    real = database._read
    return lambda away: monkeypatch.setattr(database, "_read", read if away else real)
