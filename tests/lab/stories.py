# SPDX-License-Identifier: Apache-2.0
"""A story: one multi-attach volume of the one-kernel node, and the hosts that use it.

It is told with a driver, this one or the in-tree one, in one process of the node.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Call
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode

OURS = "taikun_cinder.driver.MultiattachLVMDriver"
IN_TREE = "cinder.volume.drivers.lvm.LVMVolumeDriver"


class Story:
    """One multi-attach volume and the hosts that use it."""

    def __init__(
        self, single: SingleNode, backend: Call, volume: str | None = None
    ) -> None:
        self._single = single
        self._backend = backend
        self.volume = volume or self.driver("create_volume")
        self._attached: dict[str, dict[str, Any]] = {}
        self._devices: dict[str, str] = {}

    def driver(self, method: str, *arguments: Any) -> Any:
        """Call the back end."""
        return self._backend.backend(method, *arguments)

    def inside(self, module: str, function: str, *arguments: Any) -> Any:
        """Call something else in the back end's process."""
        return self._backend(module, function, *arguments)

    def go_on_with(self, backend: Call) -> None:
        """Go on with another back end, after the end of the one before."""
        self._backend = backend

    def guest(self, module: str, function: str, *arguments: Any) -> Any:
        """Call something else in the node."""
        return self._single.node.call(module, function, *arguments)

    def shell(self, command: str) -> str:
        """Run a shell command in the node, and give what it printed."""
        return self._single.node.run(command)

    def connector(self, host: str) -> dict[str, Any]:
        """Give a host's connector."""
        return dict(self.guest("lab.guest.initiators", "connector", host))

    def attach(
        self, host: str, reserved: str | None = None, mode: str | None = None
    ) -> str:
        """Attach the volume to a host and log the host in; give its device.

        Args:
            host: the host.
            reserved: an attachment that is there already, without a connector.
            mode: of a new attachment; as a client that gives none, if it is None.
        """
        connector = self.connector(host)
        if reserved is None:
            information = self.driver("attach", self.volume, connector, mode)
        else:
            information = self.driver("update", reserved, connector)
            self.driver("complete", reserved)
        self._attached[host] = information
        return self.log_in(host)

    def adopt(self, host: str, information: dict[str, Any], device: str) -> None:
        """Take over a host that was attached and logged in in another way."""
        self._attached[host] = information
        self._devices[host] = device

    def log_in(self, host: str) -> str:
        """Log an attached host in with what it was told; give its device."""
        information = self._attached[host]
        device = str(self.guest("lab.guest.initiators", "login", host, information))
        self._devices[host] = device
        return device

    def log_out(self, host: str) -> None:
        """Log an attached host out."""
        self.guest("tests.lab.guest.lio", "log_out", host, self._attached[host])

    def device(self, host: str) -> str:
        """Give the device that a host got when it logged in last."""
        return self._devices[host]

    def detach(self, host: str) -> None:
        """Log a host out and delete its attachment."""
        information = self._attached.pop(host)
        self.guest("tests.lab.guest.lio", "log_out", host, information)
        self.driver("detach", information["attachment_id"])

    def information(self, host: str) -> dict[str, Any]:
        """Give what Cinder told a host."""
        return self._attached[host]

    def attachment(self, host: str) -> str:
        """Give the id of a host's attachment."""
        return str(self._attached[host]["attachment_id"])

    @contextlib.contextmanager
    def writing(self, device: str) -> Iterator[dict[str, Any]]:
        """Write to a device during the block and a while after; tell what was seen."""
        seen: dict[str, Any] = {}
        run = self.guest("lab.guest.steady", "begin", device, 100)
        yield seen
        # A target that went away is an error to the application only after the
        # initiator has waited for it, 5 s in the lab.
        time.sleep(REPLACEMENT_TIMEOUT + 2)
        seen.update(self.guest("lab.guest.steady", "end", run))

    def forget(self, host: str) -> None:
        """Log out a host whose attachment was ended in another way."""
        with contextlib.suppress(RuntimeError):
            self.guest("lab.guest.initiators", "logout", host, self._attached.pop(host))

    def initiators(self) -> list[str]:
        """Give the initiators that the kernel lets in."""
        acls = "/sys/kernel/config/target/iscsi/iqn.*/tpgt_1/acls"
        return str(self._single.node.run(f"ls {acls}")).split()

    def targets(self) -> list[str]:
        """Give the targets that the kernel has."""
        iscsi = "/sys/kernel/config/target/iscsi"
        return str(self._single.node.run(f"ls {iscsi} | grep ^iqn || true")).split()

    def logical_volume(self) -> str:
        """Tell whether the volume's logical volume is "open", "closed" or "gone"."""
        found = self._single.node.run(
            "lvs --noheadings -o lv_name,lv_device_open --select "
            f"lv_name=volume-{self.volume} {VOLUME_GROUP}"
        ).split()
        return "gone" if not found else "open" if "open" in found else "closed"


@contextlib.contextmanager
def told(single: SingleNode, driver: str) -> Iterator[Story]:
    """Tell a story with a driver."""
    with single.backend(driver) as backend:
        yield Story(single, backend)
