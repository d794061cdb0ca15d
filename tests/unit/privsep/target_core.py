# SPDX-License-Identifier: Apache-2.0
"""An imitation of the kernel's drivers/target: HBAs, backstores, and what they hold.

From target_core_configfs.c, target_core_device.c, target_core_hba.c,
target_core_iblock.c, target_core_file.c and target_core_transport.c. Not imitated are
ALUA, statistics, and what most attributes of a backstore do.
"""

import dataclasses
import errno
import re
from collections.abc import Callable

from tests.unit.privsep.configfs import Attribute, Folder, number, refuse

CORE, ISCSI = "target_core_mod", "iscsi_target_mod"

#: The kinds of HBAs, and the module of each.
KINDS = {
    "iblock": "target_core_iblock",
    "fileio": "target_core_file",
    "pscsi": "target_core_pscsi",
    "user": "target_core_user",
}

#: The option of ``control`` that has the path, for the kinds that open a device.
_PATHS = {"iblock": "udev_path", "fileio": "fd_dev_name"}

#: Some attributes of a new backstore (DA_* in target_core_base.h).
ATTRIBUTES = {
    "emulate_3pc": 1,
    "emulate_caw": 1,
    "emulate_pr": 1,
    "emulate_tpu": 0,
    "emulate_tpws": 0,
    "max_unmap_block_desc_count": 0,
    "max_write_same_len": 0,
}
_NUMBERS = ("max_unmap_block_desc_count", "max_write_same_len")

_SERIAL = 254  # INQUIRY_VPD_SERIAL_LEN
_DEVICE_PATH = 512  # SE_UDEV_PATH_LEN


@dataclasses.dataclass
class Device:
    """A block device of the node.

    Attributes:
        content: what was written last.
        holder: who has it for himself.
        openers: all who have it open.
        can_discard: whether it can.
    """

    content: bytes = b""
    holder: object = None
    openers: set[int] = dataclasses.field(default_factory=set)
    can_discard: bool = True


@dataclasses.dataclass
class Machine:
    """What the kernel stands on.

    Attributes:
        db_root: where the kernel keeps persistent reservations.
        devices: the block devices, by path.
        installed: the modules that can be loaded.
        loaded: the modules that are.
        reads_past_caches: whether its fileio knows fd_async_io (Linux 4.18).
        shares_devices: whether its iblock knows exclusive=0 (Linux 6.18).
        clears_memory: whether it clears what it allocates; None if nobody can see that.
    """

    db_root: str
    devices: dict[str, Device] = dataclasses.field(default_factory=dict)
    installed: set[str] = dataclasses.field(
        default_factory=lambda: {CORE, ISCSI, *KINDS.values()}
    )
    loaded: set[str] = dataclasses.field(default_factory=set)
    reads_past_caches: bool = True
    shares_devices: bool = True
    clears_memory: bool | None = True

    def request_module(self, name: str) -> bool:
        """Load a module; say whether it is there."""
        if name in self.installed:
            self.loaded.add(name)
        return name in self.loaded


class TargetCore(Folder):
    """The folder ``target``, that comes with target_core_mod."""

    def __init__(self, machine: Machine, fabric: Callable[[], Folder]) -> None:
        super().__init__()
        self._machine, self._fabric = machine, fabric
        self.attributes["version"] = Attribute(lambda: "Target Engine Core\n")
        self.attributes["dbroot"] = Attribute(
            lambda: f"{machine.db_root}\n", lambda text: refuse(errno.EINVAL)
        )
        self.add_default("core", _Core(machine)).add_default("alua")

    def make_group(self, name: str) -> Folder:
        if name != "iscsi" or not self._machine.request_module(ISCSI):
            refuse(errno.EINVAL)
        return self._fabric()


class _Core(Folder):
    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._kinds_loaded = False

    def make_group(self, name: str) -> Folder:
        kind, _, index = name.rpartition("_")
        if not kind or not re.fullmatch(r"[0-9]+", index):
            refuse(errno.EINVAL)
        if not self._kinds_loaded:  # transport_subsystem_check_init()
            for module in KINDS.values():
                self._machine.request_module(module)
            self._kinds_loaded = True
        if KINDS.get(kind) not in self._machine.loaded or int(index) >> 32:
            refuse(errno.EINVAL)
        return _Hba(self._machine, kind)


class _Hba(Folder):
    def __init__(self, machine: Machine, kind: str) -> None:
        super().__init__()
        self._machine, self._kind = machine, kind

    def make_group(self, name: str) -> Folder:
        return Backstore(self._machine, self._kind)


class Backstore(Folder):
    """A backstore.

    Attributes:
        kind: of ``KINDS``.
        device: the block device that is open; None before it is enabled.
        serial: the unit serial.
        model: what hosts are told that it is.
        exports: how many LUNs lead here.
        registrations: the persistent reservations that it was given back.
    """

    def __init__(self, machine: Machine, kind: str) -> None:
        super().__init__()
        self._machine, self.kind = machine, kind
        self._option = ""  # of ``control``, which decides
        self._past_caches = False
        self._exclusive = True
        self._udev_path: str | None = None  # what only is shown
        self.device: Device | None = None
        self.device_path = ""
        self.serial = ""
        self.exports = 0
        self.registrations: list[str] = []
        self.attributes |= {
            "enable": Attribute(lambda: f"{int(self.configured)}\n", self._enable),
            "udev_path": Attribute(self._show_path, self._put_path),
            "control": Attribute(None, self._control),
            "info": Attribute(self._info),
        }
        for name in ("action", "alua", "statistics"):
            self.add_default(name)
        self.attrib = dict(ATTRIBUTES)
        self.add_default("attrib").attributes |= {
            name: self._attribute(name) for name in self.attrib
        }
        self.model = self.kind.upper()
        self.add_default("wwn").attributes |= {
            "vpd_unit_serial": Attribute(
                lambda: f"T10 VPD Unit Serial Number: {self.serial}\n", self._put_serial
            ),
            "product_id": Attribute(lambda: f"{self.model}\n", self._put_model),
        }
        self.add_default("pr").attributes["res_aptpl_metadata"] = Attribute(
            lambda: "Ready to process PR APTPL metadata..\n", self._register
        )

    @property
    def shares_device(self) -> bool:
        """Whether it lets others open its device, as the readers' one does."""
        return self.kind != "iblock" or not self._exclusive

    @property
    def configured(self) -> bool:
        """Whether it is enabled."""
        return self.device is not None

    def release(self) -> None:
        if self.device is not None and self.device.holder is self:
            self.device.holder = None
        if self.device is not None:
            self.device.openers.discard(id(self))

    def _info(self) -> str:
        said = f"Status: {self.configured}\n"
        if self.kind == "fileio" and self._machine.reads_past_caches:
            said += f"  Mode: O_DSYNC Async: {int(self._past_caches)}\n"
        if self.kind == "iblock" and self._machine.shares_devices:
            said += f"  exclusive: {int(self._exclusive)}\n"
        return said

    def _attribute(self, name: str) -> Attribute:
        def put(text: str) -> None:
            if name in _NUMBERS:
                self.attrib[name] = number(text)
                return
            if name == "emulate_tpu" and not self.attrib["max_unmap_block_desc_count"]:
                refuse(errno.ENOSYS)
            self.attrib[name] = number(text, 0, 1)

        return Attribute(lambda: f"{self.attrib[name]}\n", put)

    def _show_path(self) -> str:
        return "" if self._udev_path is None else f"{self._udev_path}\n"

    def _put_path(self, text: str) -> None:
        if len(text) >= _DEVICE_PATH:
            refuse(errno.EINVAL)
        self._udev_path = text.removesuffix("\n")

    def _put_serial(self, text: str) -> None:
        if len(text) >= _SERIAL:
            refuse(errno.EOVERFLOW)
        if self.exports:
            refuse(errno.EINVAL)
        self.serial = text.strip()

    def _put_model(self, text: str) -> None:
        if self.exports:
            refuse(errno.EINVAL)
        self.model = text.strip()

    def _control(self, text: str) -> None:
        for option in re.split(r"[,\n]", text):
            key, _, value = option.partition("=")
            if key == "fd_async_io" and self.kind == "fileio":
                number(value, 1)
                self._past_caches = self._machine.reads_past_caches
            if key == "exclusive" and self.kind == "iblock":
                self._exclusive = (
                    bool(number(value)) or not self._machine.shares_devices
                )
            if key == _PATHS.get(self.kind):
                if self.configured:
                    refuse(errno.EEXIST)
                self._option = value or refuse(errno.EINVAL)

    def _enable(self, text: str) -> None:
        if "1" not in text:
            refuse(errno.EINVAL)
        if self.configured:
            refuse(errno.EEXIST)
        if self.kind in _PATHS:
            self._open()
        else:
            self.device = Device(holder=self)

    def _open(self) -> None:
        if not self._option:
            refuse(errno.EINVAL)
        device = self._machine.devices.get(self._option) or refuse(errno.ENOENT)
        if not self.shares_device:
            if device.holder is not None:
                refuse(errno.EBUSY)
            device.holder = self
        device.openers.add(id(self))
        self.device, self.device_path = device, self._option
        self.attrib["max_write_same_len"] = 0xFFFF
        self.attrib["max_unmap_block_desc_count"] = int(device.can_discard)

    def _register(self, text: str) -> None:
        if self.exports:
            refuse(errno.EINVAL)
        options = dict(
            option.partition("=")[::2] for option in re.split(r"[,\n]", text) if option
        )
        for wanted in ("initiator_node", "target_node", "sa_res_key"):
            if not options.get(wanted):
                refuse(errno.EINVAL)
        self.registrations.append(text)
