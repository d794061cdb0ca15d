# SPDX-License-Identifier: Apache-2.0
"""The addresses and ports of this node, in the network namespace of this process.

It is the namespace of the privileged process too, which inherits it, and of the
targets: LIO listens in the namespace of the process that made a portal (sock_create()
in iscsit_setup_np(), iscsi_target_login.c).
"""

import errno
import socket

_FREE_BIND = 15  # IP_FREEBIND of linux/in.h, which Python does not name
_DISCARD = 9


class Network:
    """The network, asked by sockets that send nothing and listen to nothing."""

    def has(self, address: str) -> bool:
        """Say whether an address is one of this node.

        A socket that is bound could not tell: with net.ipv4.ip_nonlocal_bind, which
        floating addresses want, it may have any address. But the kernel reaches an
        address of its own from that very address.
        """
        try:
            with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
                probe.connect((address, _DISCARD))
                return bool(probe.getsockname()[0] == address)
        except OSError:  # also where the kernel has no IPv6
            return False

    def is_taken(self, address: str, port: int) -> bool:
        """Say whether somebody listens there, or so that nobody else can.

        A port that this user may not have is not said to be taken.
        """
        try:
            with socket.socket(_family(address)) as probe:
                # As LIO does, so that connections of the past do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.setsockopt(socket.SOL_IP, _FREE_BIND, 1)
                probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
        return False


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
