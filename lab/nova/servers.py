# SPDX-License-Identifier: Apache-2.0
"""A server of the cloud, as a member of its project uses it."""

import contextlib
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from openstack import exceptions

from lab.errors import LabError
from lab.node import Node
from lab.nova.cluster import NovaCluster

USER = "member"


def until(condition: Callable[[], Any], what: str, timeout: float = 300) -> Any:
    """Wait until something is true, and give it.

    Raises:
        LabError: it is not after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"after {timeout:.0f} s it does not hold that {what}")
        time.sleep(1)
    return found


class Server:
    """A server; it boots from a volume of its own, without networks.

    Attributes:
        id: Nova's.
    """

    def __init__(self, cluster: NovaCluster, server_id: str, user: str = USER) -> None:
        self.cluster = cluster
        self.id = server_id
        self._compute = cluster.cloud(user).compute
        self._cinder = cluster.clients.volume(user)

    def __repr__(self) -> str:
        return f"server {self.id}"

    def seen_by(self, user: str) -> Any:
        """Give what Nova shows of it to a user of the lab."""
        return self.cluster.cloud(user).compute.get_server(self.id)

    @property
    def host(self) -> str:
        """The host that it is on, empty where none is chosen yet."""
        return str(self.seen_by("admin").compute_host or "")

    @property
    def node(self) -> Node:
        """The node that is its host."""
        return self.cluster.nodes[self.host]

    def wait_for(self, *statuses: str, timeout: float = 900) -> None:
        """Wait until it has one of some statuses, and nothing is being done with it.

        Raises:
            LabError: it went to an error, with Nova's words; or did not get there.
        """

        def settled() -> bool:
            seen = self.seen_by("admin")
            if seen.status == "ERROR" and "ERROR" not in statuses:
                raise LabError(f"{self} is in an error: {seen.fault}")
            return seen.status in statuses and seen.task_state is None

        until(settled, f"{self} is {' or '.join(statuses)}", timeout)

    def wait_until_up(self, timeout: float = 900) -> None:
        """Wait until its kernel has booted and takes commands."""
        self.wait_for("ACTIVE", timeout=timeout)

        def up() -> bool:
            try:
                return self.run("true", timeout=10) == (0, "")
            except RuntimeError:  # it does not answer yet
                return False

        until(up, f"{self} has booted", timeout)

    def run(self, command: str, timeout: float = 120) -> tuple[int, str]:
        """Run a shell command in it; give its status and what it printed."""
        domain = self.seen_by("admin").instance_name
        status, said = self.node.call(
            "lab.guest.console", "run", domain, command, timeout
        )
        return int(status), str(said)

    def told(self, command: str) -> str:
        """Run a shell command in it; give what it printed.

        Raises:
            LabError: the command fails.
        """
        status, said = self.run(command)
        if status:
            raise LabError(f"{self}: {command} ended with {status}: {said}")
        return said.strip()

    def disk(self, volume: str) -> str:
        """Name the disk that a volume is in it, empty where it is none."""
        # A virtio disk has room for the first 20 characters.
        status, said = self.run(f"grep -l {volume[:20]} /sys/block/vd*/serial")
        return f"/dev/{said.split('/')[3]}" if status == 0 else ""

    def write(self, volume: str, block: int, text: str) -> str:
        """Write a text into one block; give the error, empty where there is none."""
        command = f"disk write {self.disk(volume)} {block} {shlex.quote(text)}"
        status, said = self.run(command)
        return said.strip() if status else ""

    def read(self, volume: str, block: int) -> str:
        """Read the text of one block, past the server's own cache."""
        return self.told(f"disk read {self.disk(volume)} {block}")

    def is_read_only(self, volume: str) -> bool:
        """Say whether its kernel takes the disk for read-only."""
        name = self.disk(volume).rpartition("/")[2]
        return self.told(f"cat /sys/block/{name}/ro") == "1"

    def size(self, volume: str) -> float:
        """Give the size in GiB that its kernel sees."""
        name = self.disk(volume).rpartition("/")[2]
        return int(self.told(f"cat /sys/block/{name}/size")) * 512 / 2**30

    def attachment(self, volume: str) -> Any:
        """Give Cinder's attachment of a volume to it, None where there is none."""
        found = self._cinder.attachments.list(search_opts={"volume_id": volume})
        return next((row for row in found if row.instance == self.id), None)

    def attach(self, volume: str, timeout: float = 300) -> None:
        """Attach a volume, and wait until it is a disk of the server.

        Raises:
            LabError: Nova gave it up, or needs longer.
        """
        self.ask_to_attach(volume)

        def attached() -> bool:
            row = self.attachment(volume)
            if row is None:
                raise LabError(f"Nova gave the attach of {volume} to {self} up")
            return bool(row.status == "attached" and self.disk(volume))

        until(attached, f"{volume} is attached to {self}", timeout)

    def ask_to_attach(self, volume: str) -> None:
        """Ask Nova to attach a volume; wait for another attach of it as clients do."""

        def accepted() -> bool:
            try:
                self._compute.create_volume_attachment(self.id, volume_id=volume)
            except (exceptions.BadRequestException, exceptions.ConflictException):
                # Cinder reserves one attachment at a time, and a server's resize or
                # migration may just end.
                return False
            return True

        until(accepted, f"Nova attaches {volume} to {self}", 60)

    def detach(self, volume: str, timeout: float = 300) -> None:
        """Detach a volume, and wait until Cinder has no attachment of it."""
        self._compute.delete_volume_attachment(self.id, volume)
        what = f"{volume} is detached from {self}"
        until(lambda: self.attachment(volume) is None, what, timeout)

    def moves(self, how: str, user: str = "manager", timeout: float = 900) -> None:
        """Let Nova move it to the only other host, and wait until it is there.

        Args:
            how: ``live`` or ``cold``; after the latter it waits for a confirmation.
            user: who asks, a manager of the project.
            timeout: in seconds.

        Raises:
            LabError: it is not, or Nova gave the move up.
        """
        before, known = self.host, len(self._migrations())
        compute = self.cluster.cloud(user).compute
        if how == "live":
            compute.live_migrate_server(self.id, block_migration="auto")
        else:
            compute.migrate_server(self.id)

        def moved() -> bool:
            made = self._migrations()[known:]
            if any(m.status in {"error", "failed", "cancelled"} for m in made):
                raise LabError(f"Nova gave the {how} migration of {self} up")
            return self.host != before

        until(moved, f"{self} has moved by a {how} migration", timeout)
        self.wait_for("ACTIVE" if how == "live" else "VERIFY_RESIZE")

    def _migrations(self) -> list[Any]:
        """Give what Nova knows of its moves, the oldest first."""
        every = self.cluster.cloud("admin").compute.migrations()
        mine = [migration for migration in every if migration.server_id == self.id]
        return sorted(mine, key=lambda migration: str(migration.created_at))

    def delete(self, timeout: float = 300) -> None:
        """Delete it, with its boot volume, and wait until it is gone."""
        self._compute.delete_server(self.id, ignore_missing=True)

        def gone() -> bool:
            return self._compute.find_server(self.id) is None

        until(gone, f"{self} is gone", timeout)

    @contextlib.contextmanager
    def writing(self, volume: str, block: int) -> Iterator["Writer"]:
        """Let an application in it write without pause in the block."""
        writer = Writer(self, volume, block)
        writer.begin()
        yield writer
        writer.end()


class Writer:
    """An application in a server that writes to one block, over and over.

    Attributes:
        writes: how many writes were acknowledged, as of the last look.
        errors: how many were not.
        longest: the longest time that one took, in milliseconds.
    """

    def __init__(self, server: Server, volume: str, block: int) -> None:
        self._server = server
        self._disk = server.disk(volume)
        self._block = block
        self._note = f"/run/writer-{uuid.uuid4().hex[:8]}"
        self.writes = self.errors = self.longest = 0

    def begin(self) -> None:
        """Begin, and see that it writes."""
        self._server.told(f"disk steady {self._disk} {self._block} {self._note}")
        self.goes_on()

    def look(self) -> "Writer":
        """Ask what it saw until a moment ago."""
        status, said = self._server.run(f"cat {self._note}")
        if status == 0:
            self.writes, self.errors, self.longest = map(int, said.split())
        return self

    def goes_on(self, timeout: float = 120) -> None:
        """See that it writes on.

        Raises:
            LabError: it does not, or a write was not acknowledged.
        """
        before = self.look().writes
        until(lambda: self.look().writes > before, f"{self} writes", timeout)
        self._has_no_errors()

    def end(self) -> None:
        """End it.

        Raises:
            LabError: a write was not acknowledged.
        """
        self.look()
        self._server.told(f"touch {self._note}.stop")
        self._has_no_errors()

    def _has_no_errors(self) -> None:
        if self.errors:
            raise LabError(f"{self}: {self.errors} writes failed")

    def __repr__(self) -> str:
        return (
            f"the writer in {self._server} ({self.writes} writes, the longest took "
            f"{self.longest} ms)"
        )
