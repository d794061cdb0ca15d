# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder topology``: which hosts share which volumes of this node."""

import datetime
import itertools
import socket
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from taikun_cinder import version
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.topology import page
from taikun_cinder.cli.topology.graph import Edge, Graph, as_dict, graph
from taikun_cinder.cli.verb import name_of
from taikun_cinder.cli.volume_list import VolumeList
from taikun_cinder.connectors import printable

COLUMNS = (
    "Host",
    "Volume",
    "Mode",
    "Session",
    "Shared with",
    "Server",
    "Back end",
    "Remark",
)

#: Stands for the host of an attachment that none has asked for yet.
_NOBODY = "(no host yet)"

#: Prints the page instead of writing a file.
_OUTPUT = Path("-")

Row = tuple[str, ...]


class Topology(VolumeList):
    """Tell which hosts share which volumes of this node.

    The table has for each host the volumes that it uses, what the kernel lets it do
    there, whether it is logged in and from where, and who else uses the volume. As JSON
    or YAML it is a graph of hosts, volumes and edges. With --html it is a page to look
    at in a browser: one file, that reads nothing from elsewhere.

    It works without Cinder's database too, and says what it then cannot tell.

    The exit status is 0 if everything could be looked at, 1 if something could not, and
    2 if nothing could.
    """

    formatter: Any

    EXAMPLE = "runuser -u cinder -- taikun-cinder topology --html - > topology.html"

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--shared",
            action="store_true",
            help="only the volumes that several hosts use",
        )
        parser.add_argument(
            "--html",
            type=Path,
            metavar="FILE",
            help="write a page for a browser, which only this user can read; - prints "
            "it. A file that is there is replaced only if it is such a page",
        )
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], list[Row]]:
        """Look at all volumes of the back ends."""
        self._unseen: list[str] = []
        found = self.backends(ComparedBackend, parsed_args.backend)
        file = None if parsed_args.html == _OUTPUT else parsed_args.html
        if file is not None:
            page.check(file)
        made = datetime.datetime.now(datetime.UTC)
        with coordinated():
            seen = [
                (name_of(backend), seen, uses)
                for backend in found
                for seen, uses in self.volumes(backend)
            ]
        all_uses = [use for *_, uses in seen for use in uses]
        self.tell_if_unused(parsed_args.host, all_uses)
        host = parsed_args.host or ""
        chosen = graph(seen).chosen(host=host, shared=parsed_args.shared)
        self._topology: dict[str, Any] = {
            "made": made.isoformat(timespec="seconds"),
            "node": socket.gethostname(),
            "version": version.text(),
            "back_ends": [name_of(backend) for backend in found],
            "only": {"host": host, "shared": parsed_args.shared},
            "unseen": self._unseen,
            **as_dict(chosen),
        }
        return COLUMNS, list(_rows(chosen))

    def wrong(self, line: str) -> None:
        """Tell the operator what could not be seen, and keep it for the answer."""
        super().wrong(line)
        self._unseen.append(line)

    def produce_output(
        self,
        parsed_args: Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Print the answer in the form that was asked for."""
        if parsed_args.html == _OUTPUT:
            self.app.stdout.write(page.of(self._topology))
        elif parsed_args.html is not None:
            page.write(parsed_args.html, page.of(self._topology))
            self.complain(f"the page was written to {parsed_args.html}")
        elif parsed_args.formatter in ("json", "yaml"):
            keys, _ = self._generate_columns_and_selector(
                parsed_args, list(self._topology)
            )
            values = [self._topology[key] for key in keys]
            self.formatter.emit_one(keys, values, self.app.stdout, parsed_args)
        else:
            if parsed_args.formatter == "table" and not parsed_args.sort_columns:
                data = _grouped(data)
            super().produce_output(parsed_args, column_names, data)
        return self.status


def _rows(what: Graph) -> Iterator[Row]:
    labels = {host.id: printable(host.label) for host in what.hosts}
    users = what.users()
    for edge in what.edges:
        others = users.get((edge.back_end, edge.volume), [])
        yield (
            _NOBODY if edge.host is None else labels[edge.host],
            edge.volume,
            _mode(edge),
            edge.address or ("yes" if edge.logged_in else "none"),
            ", ".join(labels[other] for other in others if other != edge.host),
            printable(edge.server),
            edge.back_end,
            printable(edge.remark),
        )


def _mode(edge: Edge) -> str:
    if edge.asked in ("", edge.enforced):
        return edge.enforced
    return f"{edge.enforced}, asked {edge.asked}"


def _grouped(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Name each host once, as people read."""
    for _, own in itertools.groupby(rows, key=lambda row: row[0]):
        first, *others = own
        yield first
        yield from (("", *other[1:]) for other in others)
