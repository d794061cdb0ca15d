# SPDX-License-Identifier: Apache-2.0
"""The mode of an attachment, which Cinder tells in several incomplete places.

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

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from oslo_log import log as logging

from taikun_cinder import connectors
from taikun_cinder.access.identity import is_marked
from taikun_cinder.access.model import Mode
from taikun_cinder.exception import InvalidMode

LOG = logging.getLogger(__name__)

#: The key in a connector for the mode that its connection was granted.
GRANTED = "taikun_cinder_mode"

#: The key in a connector for the disk that its connection was given, and its value for
#: the readers' disk. Without it that is the main disk: so connectors from before, from
#: the in-tree driver and of hosts that may write say the right thing.
DISK, READERS = "taikun_cinder_disk", "readers"

#: The values of a volume's admin metadata ``readonly``.
_SET, LIFTED = "True", "False"

_MODES = tuple(mode.value for mode in Mode)

#: What stands for no mode in Cinder's rows and requests.
_NONE = ("null", "")


def asked(volume: Any, connector: Mapping[str, Any], flag: str | None) -> Mode | None:
    """Give the mode that a connection is asked for; None if its row will say.

    Args:
        volume: Cinder's.
        connector: the host's.
        flag: the volume's admin metadata ``readonly``, None if it has none.

    Raises:
        InvalidMode: the connector has an unknown mode.
    """
    said = connector.get("mode", Mode.RW.value)
    mode = None if said is None else _mode(said, connector)
    if flag == _SET:
        return Mode.RO
    if flag == LIFTED and mode is not Mode.RW:
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
    """Refuse a connector with an unknown mode.

    Raises:
        InvalidMode: the connector has one.
    """
    if isinstance(connector, Mapping) and connector.get("mode") is not None:
        _mode(connector["mode"], connector)


def annotate(
    connector: MutableMapping[str, Any], mode: Mode | None, *, readers_disk: bool
) -> None:
    """Write into the connector what was granted; no mode if the row will say it."""
    for key in (GRANTED, DISK):
        connector.pop(key, None)
    if mode is not None:
        connector[GRANTED] = mode.value
    if readers_disk:
        connector[DISK] = READERS


def has_readers_disk(connector: Mapping[str, Any]) -> bool:
    """Say whether the connector's host was given the readers' disk."""
    return is_marked(connector) and connector.get(DISK) == READERS


def of_attachment(
    attach_mode: str | None,
    connector: Mapping[str, Any],
    flag: Callable[[], str | None],
) -> Mode:
    """Give the mode of an attachment, of this driver or of another.

    A mode that is none, in a row that was written by hand, is taken for ``ro``.

    Args:
        attach_mode: of its row.
        connector: of its row.
        flag: reads the volume's admin metadata ``readonly``.
    """
    if is_marked(connector) and connector.get(GRANTED) in _MODES:
        return Mode(connector[GRANTED])
    if attach_mode is None or attach_mode in (Mode.RW.value, *_NONE):
        return Mode.RW
    if connector and not is_marked(connector):
        return Mode.RW if flag() == LIFTED else Mode.RO
    return Mode.RO


def _mode(said: object, connector: Mapping[str, Any]) -> Mode:
    if said in _NONE:
        return Mode.RW
    try:
        return Mode(said)
    except ValueError:
        raise InvalidMode(host=connectors.host_of(connector), mode=said) from None
