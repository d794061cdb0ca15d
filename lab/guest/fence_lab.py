# SPDX-License-Identifier: Apache-2.0
"""A fence agent for the lab's power switch, as Pacemaker and dlm_controld call one.

Options come on standard input, a line of ``name=value`` each, or as ``--name=value``.
"""

import socket
import sys
from collections.abc import Iterable, Mapping

from lab.plan import CONTROL, POWER_PORT

#: Of the action "status", for a plug without power.
_OFF = 2

METADATA = """\
<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="Fence agent for the lab's power switch">
<longdesc>It cuts the power of a node of the lab, and gives it back.</longdesc>
<parameters>
<parameter name="action" unique="0" required="1">
<content type="string" default="reboot"/>
<shortdesc lang="en">What to do</shortdesc>
</parameter>
<parameter name="plug" unique="0" required="1">
<content type="string"/>
<shortdesc lang="en">The node's name</shortdesc>
</parameter>
</parameters>
<actions>
<action name="on" automatic="0"/>
<action name="off"/>
<action name="reboot"/>
<action name="status"/>
<action name="monitor"/>
<action name="list"/>
<action name="metadata"/>
</actions>
</resource-agent>
"""


def _ask(*words: str) -> str:
    with socket.create_connection((CONTROL, POWER_PORT), timeout=20) as switch:
        switch.sendall(f"{' '.join(words)}\n".encode())
        return switch.makefile().readline().strip()


def _switch(state: str, plug: str) -> int:
    """Switch a plug; give 0 if the switch says that it is so now."""
    said = _ask(state, plug)
    if said != state:
        print(f"fence_lab: {state} {plug}: {said or 'no answer'}", file=sys.stderr)
    return int(said != state)


def options(given: Iterable[str]) -> dict[str, str]:
    """Read lines of ``name=value``; what else there is has no meaning here."""
    pairs = (line.strip().removeprefix("--").partition("=") for line in given)
    return {name: value for name, equals, value in pairs if equals}


def main(given: Mapping[str, str]) -> int:
    """Do what the options ask for; give the exit status."""
    action, plug = given.get("action", "reboot"), given.get("plug", "")
    if action == "metadata":
        print(METADATA, end="")
        return 0
    if action in ("list", "monitor"):
        names = _ask("list").split()
        if action == "list":
            print("\n".join(f"{name}," for name in names))
        return int(not names)
    if action == "status":
        return {"on": 0, "off": _OFF}.get(_ask("status", plug), 1)
    if action in ("on", "off"):
        return _switch(action, plug)
    if action == "reboot":
        failed = _switch("off", plug)
        if not failed:
            _switch("on", plug)  # it is fenced, whether it gets its power back or not
        return failed
    print(f"fence_lab: there is no action {action}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(options(sys.argv[1:] or sys.stdin)))
