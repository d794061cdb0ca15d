# SPDX-License-Identifier: Apache-2.0
"""What Cinder says about the mode of an attachment: many places, none of them whole.

- ``connector['mode']`` is there for a request by the attachments API if a mode was
  given before or with it, and is None if the attachment and its connector came in one
  request: then only the row will tell (api.attachment_create).
- The row's ``attach_mode`` says what was asked for. What was granted may be less, so
  the driver leaves that in the connector, which Cinder stores with the row.
- The volume's admin metadata ``readonly`` makes all its attachments ``ro``. But
  Cinder's API takes the text ``False``, which os-attach and a lifted read-only flag
  leave there, for true, and then writes ``ro`` whatever was asked for
  (api.attachment_create). So a ``ro`` beside it is not believed, and the text, which
  means the same as none everywhere else, is removed: the next request is heard.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from cinder import context, objects
from oslo_log import log as logging

from taikun_cinder import connectors
from taikun_cinder.access.identity import is_marked
from taikun_cinder.access.model import Mode
from taikun_cinder.exception import InvalidMode

LOG = logging.getLogger(__name__)

#: The key in a connector for what its connection may do.
GRANTED = "taikun_cinder_mode"

#: The admin metadata of a volume that all hosts may only read, and its values.
_READONLY, _SET, _LIFTED = "readonly", "True", "False"

#: What stands for no mode in Cinder's rows and requests.
_NONE = ("null", "")


def asked(volume: Any, connector: Mapping[str, Any]) -> Mode | None:
    """Give the mode that a connection is asked for; None if its row will say.

    Raises:
        InvalidMode: the connector has one that is none.
    """
    said = connector.get("mode", Mode.RW.value)
    mode = None if said is None else _mode(said, connector)
    flag = _flag(volume)
    if flag == _SET:
        return Mode.RO
    if flag == _LIFTED and mode is not Mode.RW:
        LOG.warning(
            "Volume %(volume)s is attached to %(host)s for writing, though Cinder's "
            "API may say 'ro': the volume's admin metadata has readonly='False', which "
            "the API takes for true, so what was asked for cannot be known. The "
            "metadata is removed now. If the host is to be read-only, attach it again.",
            {"volume": volume["id"], "host": connectors.host_of(connector)},
        )
        return Mode.RW
    return mode


def check(connector: Any) -> None:
    """Refuse a connector with a mode that is none.

    Raises:
        InvalidMode: that is so.
    """
    if isinstance(connector, Mapping) and connector.get("mode") is not None:
        _mode(connector["mode"], connector)


def leave(connector: MutableMapping[str, Any], mode: Mode | None) -> None:
    """Write into the connector what was granted; nothing if the row will say."""
    connector.pop(GRANTED, None)
    if mode is not None:
        connector[GRANTED] = mode.value


def of_row(row: Any, connector: Mapping[str, Any]) -> Mode:
    """Give the mode that a row says, whoever has made it."""
    if is_marked(connector) and GRANTED in connector:
        return Mode(connector[GRANTED])
    if row.attach_mode != Mode.RO.value:
        return Mode.RW
    if connector and not is_marked(connector):
        admin = context.get_admin_context()
        volume = objects.Volume.get_by_id(admin, row.volume_id)
        return Mode.RW if _flag(volume) == _LIFTED else Mode.RO
    return Mode.RO


def forget_lifted_flag(volume: Any) -> None:
    """Remove ``readonly='False'`` from the volume's admin metadata."""
    if _flag(volume) == _LIFTED:
        with volume.obj_as_admin():
            rest = {k: v for k, v in volume.admin_metadata.items() if k != _READONLY}
            volume.admin_metadata_update(rest, delete=True)


def _mode(said: object, connector: Mapping[str, Any]) -> Mode:
    if said in _NONE:
        return Mode.RW
    try:
        return Mode(said)
    except ValueError:
        raise InvalidMode(host=connectors.host_of(connector), mode=said) from None


def _flag(volume: Any) -> str | None:
    if volume.obj_attr_is_set("admin_metadata"):
        found = volume.admin_metadata.get(_READONLY)
    else:
        with volume.obj_as_admin():  # which copies the whole context
            found = volume.admin_metadata.get(_READONLY)
    return None if found is None else str(found)
