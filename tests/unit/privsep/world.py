# SPDX-License-Identifier: Apache-2.0
"""The contract's world on an imitated node, and one volume in it."""

from taikun_cinder.access.model import Credentials, Grant, Initiator, Portal
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.target import LioTarget
from tests.contract.lio import LioLab
from tests.unit.privsep.node import ImitatedKernel, ImitatedNode
from tests.unit.privsep.sessions import ImitatedSession


class ImitatedWorld:
    """An imitated node, empty, with our target."""

    prefix = "iqn.2010-10.org.openstack:"
    portals = (Portal("192.0.2.1"), Portal("2001:db8::1"))

    def __init__(self, node: ImitatedNode) -> None:
        self.node = node
        self.kernel = ImitatedKernel(node)
        self.target = LioTarget(self.kernel)

    def device(self) -> str:
        return self.node.add_device(f"/dev/vg/volume-{len(self.node.machine.devices)}")

    def in_use(self, device: str) -> bool:
        return self.node.in_use(device)

    def login(
        self,
        name: str,
        portal: Portal,
        initiator: Initiator,
        credentials: Credentials,
        lun: int = 0,
    ) -> ImitatedSession:
        return self.node.login(name, portal, initiator, credentials).other(lun)

    def damage(self, name: str, step: steps.Step) -> None:
        if isinstance(step, steps.SetAttribute):
            # The driver's own way leads to right values only.
            self.node.put(f"iscsi/{name}/tpgt_1/attrib/{step.name}", str(step.value))
            return
        self.kernel.apply(name, [step])


class ImitatedLab(LioLab):
    """An imitated node with one volume in it."""

    world: ImitatedWorld

    @property
    def node(self) -> ImitatedNode:
        """The node."""
        return self.world.node

    @property
    def tpg(self) -> str:
        """The folder of the volume's TPG, below ``target``."""
        return f"iscsi/{self.name}/tpgt_1"

    def login(self, given: Grant, lun: int | None = None) -> ImitatedSession:
        session = super().login(given, lun)
        assert isinstance(session, ImitatedSession)
        return session
