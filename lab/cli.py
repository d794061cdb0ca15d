# SPDX-License-Identifier: Apache-2.0
"""The lab's command line: up, status, shell, run, logs, down, demo."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from lab import demo
from lab.cluster import Cluster
from lab.demo import Demo
from lab.errors import LabError, tail
from lab.kernel import choice
from lab.plan import CONTROL
from lab.progress import Terminal
from lab.workdir import WorkFolder

HOW_TO = """
The cluster is up. Play with it:

  tox -e lab -- run control openstack volume type list    a client, as user admin
  tox -e lab -- run --user member control cinder list     as an ordinary member
  tox -e lab -- shell control                             a shell with OS_* set
  tox -e lab -- shell storage                             a root shell on a node
  tox -e lab -- run compute1 iscsiadm -m session
  tox -e lab -- status | logs cinder-volume | down

Users: admin, manager, member, reader (project demo), other (project other).
Only processes in the lab reach its addresses, so clients run through "run control".
"""


def _kinds(*, nova: bool) -> tuple[type[Cluster], type[Demo]]:
    """Give the kind of the cluster, and that of the demo in it."""
    if not nova:
        return Cluster, Demo
    # Nova's clients take as long to import as all else that a command needs.
    from lab.nova.cluster import NovaCluster  # noqa: PLC0415
    from lab.nova.demo import ServersDemo  # noqa: PLC0415

    return NovaCluster, ServersDemo


def _find(work: WorkFolder) -> Cluster | None:
    kind, _story = _kinds(nova=(work.path / "etc/nova").exists())
    return kind.find(work)


def _running(work: WorkFolder) -> Cluster:
    cluster = _find(work)
    if cluster is None:
        raise LabError('no lab is up; bring one up with "tox -e lab -- up"')
    return cluster


def _up(work: WorkFolder, options: argparse.Namespace) -> int:
    progress = Terminal()
    with work.lock():
        if _find(work) is not None:
            progress.say('The lab is up already; see "tox -e lab -- status".')
            return 0
        choice.prepare(progress)
        kind, _story = _kinds(nova=options.nova)
        kind.up(work, progress).sandbox.detach()
    progress("up")
    progress.say(HOW_TO)
    return 0


def _status(work: WorkFolder, _options: argparse.Namespace) -> int:
    cluster = _running(work)
    for name, daemon in cluster.daemons.items():
        state = "up" if daemon.alive() else "DOWN"
        Terminal.say(f"control    {name:18} {CONTROL:15} {state}")
    for node in cluster.nodes.values():
        state = "up" if node.kernel.alive() else "DOWN"
        address = node.plan.management_address
        Terminal.say(f"node       {node.name:18} {address:15} {state}")
    for name, pool in cluster.pools().items():
        Terminal.say(f"pool       {name}  multiattach={pool['multiattach']}")
    Terminal.say(f"logs       {work.logs}")
    return 0


def _run(work: WorkFolder, options: argparse.Namespace) -> int:
    cluster = _running(work)
    if options.node == "control":
        return _control(cluster, options.user, options.command)
    command = options.command
    return cluster.nodes[options.node].stream(command, sys.stdout.write)


def _shell(work: WorkFolder, options: argparse.Namespace) -> int:
    cluster = _running(work)
    if options.node == "control":
        return _control(cluster, options.user, ["bash"])
    return cluster.nodes[options.node].shell(cluster.sandbox)


def _control(cluster: Cluster, user: str, command: Sequence[str]) -> int:
    wrapped, environment = cluster.client(user, command)
    return subprocess.run(wrapped, env=environment, check=False).returncode


def _logs(work: WorkFolder, options: argparse.Namespace) -> int:
    for log in sorted(work.logs.glob(f"{options.name or '*'}*.log")):
        Terminal.say(f"== {log}")
        Terminal.say(tail(log, options.lines))
    return 0


def _down(work: WorkFolder, _options: argparse.Namespace) -> int:
    with work.lock():
        cluster = _find(work)
        if cluster is None:
            Terminal.say("No lab is up.")
            return 0
        cluster.down()
    Terminal.say(f"The lab is down. Its logs stay in {work.logs}")
    return 0


def _demo(work: WorkFolder, options: argparse.Namespace) -> int:
    kind, story = _kinds(nova=options.nova)
    with work.lock():
        there = _find(work)
        if there is not None and not isinstance(there, kind):
            raise LabError(
                'the lab that is up has no Nova; end it with "tox -e lab -- down"'
            )
        return demo.run(work, there, keep=options.keep, kind=kind, story=story)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(
        name: str, action: Callable[[WorkFolder, argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(action=action)
        return added

    nodes = ("control", "storage", "compute1", "compute2")
    up = verb("up", _up, "bring the cluster up")
    up.add_argument(
        "--nova", action="store_true", help="with servers (see tox -e nova)"
    )
    verb("status", _status, "tell what runs")
    for name, action, text in (
        ("shell", _shell, "open a shell on a node"),
        ("run", _run, "run a command on a node"),
    ):
        added = verb(name, action, text)
        added.add_argument("--user", default="admin", help="whose OS_* on control")
        added.add_argument("node", choices=nodes)
        if name == "run":
            added.add_argument("command", nargs=argparse.REMAINDER)
    logs = verb("logs", _logs, "show the last lines of the logs")
    logs.add_argument("name", nargs="?", help="of this daemon or node only")
    logs.add_argument("--lines", type=int, default=20)
    verb("down", _down, "end the cluster")
    shown = verb("demo", _demo, "share one volume between two hosts, start to end")
    shown.add_argument("--keep", action="store_true", help="leave the cluster up")
    shown.add_argument(
        "--nova", action="store_true", help="between two servers (see tox -e nova)"
    )
    return parser


def main() -> int:
    """Do what the command line asks; give the exit status."""
    options = _parser().parse_args()
    # A shell that starts us in the background lets us ignore Ctrl-C; a kill -INT is
    # meant all the same. A hang-up or a kill ends the lab in the same orderly way.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return int(options.action(WorkFolder(), options))
    except LabError as error:
        Terminal.complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        Terminal.complain("interrupted")
        return 130
