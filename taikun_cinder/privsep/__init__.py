# SPDX-License-Identifier: Apache-2.0
"""The privileged half: it runs as root in a small process of its own.

Nothing in this package may import Cinder or rtslib, or the rest of the driver: that
process would have to load them too, as root.
"""

from oslo_privsep import capabilities

from taikun_cinder.privsep.client import Context

#: How long a caller waits for a call, in seconds; what has not begun by then is never
#: done. A call hangs in the kernel while a disk does not answer, and LIO has been seen
#: to hang while targets came and went in a churn (targetcli-fb issue 178). It is less
#: than the minute that Cinder's API waits for an answer (rpc_response_timeout).
TIMEOUT = 30.0

#: Root with one capability: LIO shows and takes CHAP secrets only with CAP_SYS_ADMIN
#: (drivers/target/iscsi/iscsi_target_configfs.c). All else belongs to root already:
#: configfs, the devices, LIO's own folder. A target_port below 1024 takes
#: CAP_NET_BIND_SERVICE too; an operator who has one sets ``capabilities`` in the
#: section ``taikun_cinder_privsep``.
context = Context(
    "taikun_cinder",
    cfg_section="taikun_cinder_privsep",
    pypath=__name__ + ".context",
    capabilities=[capabilities.CAP_SYS_ADMIN],
    timeout=TIMEOUT,
)
