# SPDX-License-Identifier: Apache-2.0
"""Looks at what is on a volume, by the privileged process."""

from oslo_log import log as logging
from oslo_privsep import comm, daemon

from taikun_cinder import privsep
from taikun_cinder.access.contents import Content, Look
from taikun_cinder.privsep import look as privileged
from taikun_cinder.privsep.deadline import TooLate
from taikun_cinder.privsep.refusal import Unseen

LOG = logging.getLogger(__name__)

#: What a look can end with: it could not be done, the privileged process refused the
#: device, it is of another version, did not answer in time, could not be started, or
#: went away.
_FAILURES = (
    Unseen,
    ValueError,
    ImportError,
    NameError,
    comm.PrivsepTimeout,
    TooLate,
    daemon.FailedToDropPrivileges,
    OSError,
)


def look(device: str) -> Look:
    """Look at what is on a volume; it takes some seconds at most.

    What a server has written, and has only in its memory still, is not seen.

    Args:
        device: the path of its logical volume.
    """
    try:
        found = privileged.contents(device)
    except _FAILURES as failure:
        LOG.debug("What is on %s could not be looked at", device, exc_info=True)
        return Look(failure=_words(failure))
    return Look(tuple(Content(*one) for one in found))


def lack() -> str:
    """Say what this node lacks for such looks; empty if it is nothing."""
    try:
        privileged.rehearse()
    except _FAILURES as failure:
        return _words(failure)
    return ""


def _words(failure: Exception) -> str:
    if isinstance(failure, comm.PrivsepTimeout):
        return f"it did not answer in {privsep.context.timeout:.0f} s"
    return str(failure) or type(failure).__name__
