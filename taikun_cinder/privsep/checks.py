# SPDX-License-Identifier: Apache-2.0
"""Checks of all input of the privileged process, which trusts no caller.

Each check gives the value back, or raises ValueError, which never shows a secret.
"""

import ipaddress
import os
import re

from taikun_cinder.privsep import ours

#: What the TPG must say. There is no way to ask for another value.
ATTRIBUTES = {
    "authentication": 1,
    "generate_node_acls": 0,
    "demo_mode_write_protect": 1,
    "prod_mode_write_protect": 0,
    "demo_mode_discovery": 0,
}

#: The attributes of a backstore that are 0 if it refuses a command which passes a LUN's
#: write protection, and what an iblock has otherwise (iblock_configure_device() in
#: target_core_iblock.c, DA_EMULATE_CAW in target_core_base.h).
PASSABLE = {"max_write_same_len": "65535", "emulate_caw": "1"}

#: The LUNs that a volume can have: the main disk's and the readers'.
MAIN_LUN, READERS_LUN = 0, 1

_IQN = re.compile(r"(iqn|naa|eui)\.[!-.0-~]{1,219}")  # printable ASCII without /
# What rtslib takes for a host (normalize_wwn() in rtslib_fb/utils.py), so that the
# in-tree driver knows the same hosts, and of that only what _IQN is too.
_INITIATOR = re.compile(
    r"iqn\.[0-9]{4}-[01][0-9]\.[!-.0-^`-~]*\.[!-.0-^`-~]*"
    r"|naa\.[125c-f][0-9a-f]{15}"
    r"|eui\.[0-9a-f]{16}"
)
# LVM's own characters for names (lvm(8)). No comma: LIO splits its options there.
_DEVICE = re.compile(r"/dev/[A-Za-z0-9+_.@/-]{1,500}")
# The kernel keeps 254 characters, and names the file of persistent reservations so.
_SERIAL = re.compile(r"[A-Za-z0-9-]{1,200}")
# ISCSI's MAX_USER_LEN and MAX_PASS_LEN are 256 (iscsi_target_core.h).
_SECRET = re.compile(r"[!-~]{1,255}")
_LONGEST_NAME = 223
_LAST_PORT = 65535
_LAST_LUN = 65535


def iqn(value: object) -> str:
    """Check the form of an iSCSI name."""
    name = _text("name", value)
    if not _IQN.fullmatch(name):
        raise ValueError(f"{name!r} is no iSCSI name")
    return name


def target(value: object) -> str:
    """Check the name of a target of ours."""
    name = iqn(value)
    ours.refuse_target(name)
    return name


def prefixes(value: object) -> tuple[str, ...]:
    """Check the beginning of the names of targets, and give those of ours."""
    return ours.prefixes(_text("prefix", value))


def group(value: object) -> str:
    """Check the name of a volume group of ours."""
    name = _text("volume group", value)
    ours.refuse_group(name)
    return name


def initiator(value: object) -> str:
    """Check the name of an initiator that is to get access, in LIO's lower case.

    It is the one definition: ``targets.lio.iscsi`` refuses by it, too.
    """
    name = iqn(value)
    if name != name.lower():
        raise ValueError(f"the initiator {name!r} is not in lower case")
    if not _INITIATOR.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an initiator")
    return name


def folder(value: object) -> str:
    """Check the name of something that is to go: anything that a folder can have."""
    name = _text("name", value)
    bad = name in ("", ".", "..") or "/" in name or "\0" in name
    # A lone surrogate that no bytes lead to cannot be encoded: a ValueError, too.
    if bad or len(name.encode(errors="surrogateescape")) > _LONGEST_NAME:
        raise ValueError(f"{name!r} is no name of a folder")
    return name


def device(value: object) -> str:
    """Check the path of a logical volume of ours."""
    path = _text("device", value)
    if not _DEVICE.fullmatch(path) or os.path.normpath(path) != path:
        raise ValueError(f"{path!r} is no path below /dev")
    try:
        ours.node(path)
    except FileNotFoundError:
        raise ValueError(f"the device {path} does not exist") from None
    return path


def serial(value: object) -> str:
    """Check a unit serial."""
    text = _text("serial", value)
    if not _SERIAL.fullmatch(text):
        raise ValueError(f"{text!r} is no unit serial: letters, digits and - only")
    return text


def address(value: object) -> str:
    """Check an IP address and give the shortest form, without brackets."""
    found = any_address(value)
    if "%" in found:
        raise ValueError(f"{found!r} has a scope, which LIO does not take")
    return found


def any_address(value: object) -> str:
    """Check the IP address of something that is to go; it may have a scope."""
    text = _text("address", value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is no IP address") from None


def port(value: object) -> int:
    """Check a TCP port."""
    return _number("port", value, 1, _LAST_PORT)


def lun(value: object) -> int:
    """Check the index of a LUN."""
    return _number("LUN", value, 0, _LAST_LUN)


def own_lun(value: object) -> int:
    """Check the index of a LUN that is to show one of the volume's disks."""
    return _number("LUN of ours", value, MAIN_LUN, READERS_LUN)


def other_tag(value: object) -> int:
    """Check the tag of a TPG that is to go."""
    return _number("tag", value, 0, _LAST_PORT)


def flag(value: object) -> bool:
    """Check a yes or no."""
    if not isinstance(value, bool):
        raise ValueError(f"a flag must be a bool and not {type(value).__name__}")
    return value


def attribute(value: object) -> str:
    """Check the name of an attribute of a TPG."""
    name = _text("attribute", value)
    if name not in ATTRIBUTES:
        raise ValueError(f"the attribute {name!r} is not ours to set")
    return name


def passable(value: object) -> str:
    """Check the name of an attribute of a backstore that we set."""
    name = _text("attribute", value)
    if name not in PASSABLE:
        raise ValueError(f"the attribute {name!r} of a backstore is not ours to set")
    return name


def secret(value: object) -> str:
    """Check a username or a password; the error does not show it."""
    text = _text("secret", value)
    # LIO takes a value that begins with NULL as none (iscsi_target_configfs.c).
    if not _SECRET.fullmatch(text) or text.startswith("NULL"):
        raise ValueError(
            "a username or password must have 1 to 255 printable ASCII characters, no "
            "blank, and not begin with NULL"
        )
    return text


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a {what} must be a str and not {type(value).__name__}")
    return value


def _number(what: str, value: object, first: int, last: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"a {what} must be an int and not {type(value).__name__}")
    if not first <= value <= last:
        raise ValueError(f"{value} is no {what}: {first} to {last}")
    return value
