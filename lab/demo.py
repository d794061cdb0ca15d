# SPDX-License-Identifier: Apache-2.0
"""The demo: one multi-attach volume shared by two hosts, from nothing to the end."""

import contextlib
import traceback
from collections.abc import Iterator

import prettytable

from lab import attachments
from lab.attachments import Attached
from lab.cluster import Cluster
from lab.errors import LabError
from lab.kernel import choice
from lab.progress import Terminal
from lab.workdir import WorkFolder

USER = "member"  # an ordinary member of the project
BACKEND = "lvm-shared"


class Demo:
    """The story, told step by step; each step either holds or raises LabError."""

    def __init__(self, cluster: Cluster, progress: Terminal) -> None:
        self._cluster = cluster
        self._progress = progress
        self._cinder = cluster.clients.volume(USER)
        self._admin = cluster.clients.volume("admin")
        self.held: list[str] = []

    def _holds(self, truth: bool, what: str, otherwise: str) -> None:
        if not truth:
            raise LabError(f"it does not hold that {what}: {otherwise}")
        self.held.append(what)
        self._progress(f"  holds: {what}")

    def tell(self) -> None:
        """Run the whole story and clean up behind it.

        Raises:
            LabError: at the first step that does not hold.
        """
        with self._volume_type() as volume_type, self._volume(volume_type) as volume:
            self._use(volume)
        self._leaves_nothing()
        self._cluster.check_kernels()
        self.held.append("no kernel reports a fault")

    def _use(self, volume: str) -> None:
        """Tell what happens between the volume's creation and its deletion."""
        first, second = (self._attach(n, volume) for n in ("compute1", "compute2"))
        self._show("both hosts attached", volume)
        self._share(first, second)
        self._detach_beside_io(first, second)
        self._show("one host detached", volume)
        reader = self._attach("compute1", volume, "ro")
        self._only_read(reader, second)
        self._show("one host only reads", volume)
        self._fail_over(reader, second, volume)
        self._show("both hosts detached", volume)

    @contextlib.contextmanager
    def _volume_type(self) -> Iterator[str]:
        self._progress.step(
            "making the volume type 'shared' with multiattach='<is> True'"
        )
        volume_type = self._admin.volume_types.create("shared")
        volume_type.set_keys(
            {"multiattach": "<is> True", "volume_backend_name": BACKEND}
        )
        yield str(volume_type.id)
        self._admin.volume_types.delete(volume_type)

    @contextlib.contextmanager
    def _volume(self, volume_type: str) -> Iterator[str]:
        self._progress.step(f"creating a volume of it, as the project's {USER}")
        volume = self._cinder.volumes.create(
            1, name="shared-disk", volume_type=volume_type
        )
        volume = attachments.wait_for_status(self._cinder, volume.id, "available")
        self._holds(
            volume.multiattach is True,
            "the new volume is multi-attach",
            f"its multiattach is {volume.multiattach}",
        )
        yield str(volume.id)
        self._progress.step("deleting the volume")
        self._cinder.volumes.delete(volume.id)
        attachments.wait_until_deleted(self._cinder, volume.id)

    def _attach(self, name: str, volume: str, mode: str = "rw") -> Attached:
        steps = "reserve, update, connect, complete"
        self._progress.step(f"attaching it on {name}, {mode}: {steps}")
        node = self._cluster.nodes[name]
        attached = attachments.attach(self._cluster.clients, USER, node, volume, mode)
        self._progress(f"  {name} has it as {attached.path}")
        return attached

    def _share(self, first: Attached, second: Attached) -> None:
        self._progress.step("writing on each host, and reading on the other")
        for writer, reader in ((first, second), (second, first)):
            text = f"written on {writer.node.name}"
            block = 10 if writer is first else 11
            writer.write(block, text)
            found = reader.read(block)
            self._holds(
                found == text,
                f"{reader.node.name} reads what {writer.node.name} wrote",
                f"it read {found!r} instead of {text!r}",
            )

    def _detach_beside_io(self, leaving: Attached, staying: Attached) -> None:
        host = staying.node
        self._progress.step(
            f"detaching {leaving.node.name} while {host.name} writes on"
        )
        run = host.call("lab.guest.steady", "begin", staying.path, 20)
        attachments.detach(self._cluster.clients, USER, leaving)
        seen = host.call("lab.guest.steady", "end", run)
        self._holds(
            seen["writes"] > 0 and not seen["errors"],
            f"{host.name} wrote on without an error while {leaving.node.name} "
            f"was detached ({seen['writes']} writes, the longest "
            f"{seen['longest'] * 1000:.0f} ms)",
            f"its writes failed: {seen['errors'][:3]}",
        )
        gone = leaving.node.run("iscsiadm -m session || true")
        self._holds(
            "No active sessions" in gone,
            f"{leaving.node.name} has no session any more",
            gone,
        )

    def _only_read(self, reader: Attached, writer: Attached) -> None:
        host = reader.node
        self._progress.step(f"trying to write on {host.name}, which may only read")
        told = reader.information["access_mode"]
        self._holds(told == "ro", f"Cinder tells {host.name} 'ro'", f"'{told}'")
        self._holds(
            host.call("lab.guest.disk", "is_read_only", reader.path),
            f"the disk is read-only in the eyes of {host.name}'s kernel",
            "it is not",
        )
        writer.write(10, "only the writer writes")
        said = host.call("lab.guest.disk", "write_raw", reader.path, "by force")
        self._holds(
            "Write protected" in said,
            f"a raw SCSI write by {host.name}'s root user is refused by the target",
            said,
        )
        found = reader.read(10)
        self._holds(
            found == "only the writer writes",
            f"{host.name} reads what {writer.node.name} writes",
            f"it read {found!r}",
        )

    def _fail_over(self, reader: Attached, writer: Attached, volume: str) -> None:
        name = reader.node.name
        self._progress.step(f"failing over from {writer.node.name} to {name}")
        for attached in (writer, reader):
            attachments.detach(self._cluster.clients, USER, attached)
        active = self._attach(name, volume)
        active.write(10, "after the fail-over")
        found = active.read(10)
        self._holds(
            found == "after the fail-over",
            f"{name} writes now",
            f"it read {found!r}",
        )
        attachments.detach(self._cluster.clients, USER, active)

    def _leaves_nothing(self) -> None:
        storage = self._cluster.nodes["storage"]
        targets = storage.run("ls -d /sys/kernel/config/target/iscsi/iqn.* || true")
        self._holds(
            "No such file" in targets,
            "no target is left on the storage node",
            targets,
        )

    def _show(self, title: str, volume: str) -> None:
        now = self._admin.volumes.get(volume)  # only an admin sees the hosts
        table = prettytable.PrettyTable(["attachment", "host", "mode", "status"])
        table.title = f"{title}: volume {now.status}, multiattach {now.multiattach}"
        for row in now.attachments:
            shown = self._admin.attachments.show(row["attachment_id"])
            mode, status = shown.attach_mode, shown.status
            table.add_row([row["attachment_id"], row["host_name"], mode, status])
        self._progress.say(str(table))


def _finish(demo: Demo, progress: Terminal, error: LabError | None) -> int:
    progress.say()
    for line in demo.held:
        progress.say(f"  [ok] {line}")
    if error is not None:
        progress.say(f"  [FAILED] {error}")
    progress.say()
    for step, seconds in progress.steps():
        progress.say(f"  {seconds:6.1f} s  {step}")
    result = "FAILED" if error else "all of it holds"
    progress.say(f"\nThe demo: {result} ({progress.elapsed():.0f} s in all)")
    return 1 if error else 0


def run(
    work: WorkFolder,
    cluster: Cluster | None,
    *,
    keep: bool,
    kind: type[Cluster] = Cluster,
    story: type[Demo] = Demo,
) -> int:
    """Run the demo in a cluster; give the exit status.

    Args:
        work: the lab's folder.
        cluster: the one that is up; None brings one up, and ends it.
        keep: leave that up.
        kind: of the one that is brought up.
        story: what is told.
    """
    progress = Terminal()
    own = cluster is None
    if cluster is None:
        progress.step("finding a kernel")
        choice.prepare(progress)
        progress.step("bringing the cluster up")
        cluster = kind.up(work, progress)
    demo = story(cluster, progress)
    error = None
    try:
        demo.tell()
    except LabError as failed:
        error = failed
    except Exception as failed:  # a client's or os-brick's own error: name the step
        error = LabError(f"{progress.last}: {type(failed).__name__}: {failed}")
        work.log("demo").write_text(traceback.format_exc())
    finally:
        _leave(cluster, progress, own=own, keep=keep)
    return _finish(demo, progress, error)


def _leave(cluster: Cluster, progress: Terminal, *, own: bool, keep: bool) -> None:
    if own and not keep:
        cluster.down()
    elif own:
        cluster.sandbox.detach()
        progress.say("The lab stays up: tox -e lab -- status | shell NODE | down")
