# SPDX-License-Identifier: Apache-2.0
"""The imitated portals of a TPG (iscsi_target_configfs.c, iscsi_target_login.c)."""

import errno
import ipaddress
import re
from collections.abc import Callable, Collection

from taikun_cinder.access.model import Portal
from tests.unit.privsep.configfs import Attribute, Folder, refuse

Listening = Callable[[], Collection[Portal]]


class Portals(Folder):
    """The portals of a TPG.

    Args:
        of_target: gives those of its target.
        of_all: gives those of all targets.
    """

    def __init__(self, of_target: Listening, of_all: Listening) -> None:
        super().__init__()
        self._of_target, self._of_all = of_target, of_all

    @property
    def listening(self) -> list[Portal]:
        """Where the TPG listens."""
        return [_portal(name) for name in self.folders]

    def make_group(self, name: str) -> Folder:
        try:
            portal = _portal(name)
        except ValueError:
            refuse(errno.EINVAL)
        # target_fabric_make_np() makes EINVAL of any refusal.
        if portal in self._of_target():
            refuse(errno.EINVAL)
        if any(_clash(portal, other) for other in self._of_all() if other != portal):
            refuse(errno.EINVAL)
        made = Folder()
        made.attributes["iser"] = Attribute(lambda: "0\n", lambda text: None)
        return made


def _portal(name: str) -> Portal:
    """Read a portal's name as lio_target_call_addnptotpg() does."""
    found = re.search(r"\[([^\]]*)\][^:]*:(.*)", name) or re.match("([^:]*):(.*)", name)
    if found is None or not found[2].isdigit():
        raise ValueError(name)
    return Portal(found[1], int(found[2]))


def _clash(first: Portal, second: Portal) -> bool:
    """Say whether two sockets could not both listen (inet_csk_get_port())."""
    if first.port != second.port:
        return False
    pair = [ipaddress.ip_address(portal.address) for portal in (first, second)]
    if pair[0].version == pair[1].version:
        return any(address.is_unspecified for address in pair)
    # LIO does not set IPV6_V6ONLY, so "::" is all of IPv4, too.
    return any(address.is_unspecified and address.version == 6 for address in pair)


def covers(there: Portal, portal: Portal) -> bool:
    """Say whether who connects to a portal arrives at another one."""
    anywhere = ipaddress.ip_address(there.address)
    return there.covers(portal) or (
        anywhere == ipaddress.ip_address("::") and there.port == portal.port
    )
