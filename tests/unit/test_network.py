# SPDX-License-Identifier: Apache-2.0
"""The node's addresses and ports, as the kernel of this machine tells them."""

import contextlib
import errno
import os
import socket

import pytest

from taikun_cinder.network import Network

NETWORK = Network()

#: Of RFC 5737 and RFC 3849: nobody's.
NOBODYS = ("192.0.2.1", "2001:db8::1")


@pytest.fixture(params=["127.0.0.1", "::1"])
def address(request):
    with (
        contextlib.suppress(OSError),
        socket.create_server((request.param, 0), family=_family(request.param)),
    ):
        return request.param
    return pytest.skip(f"{request.param} is no address of this machine")


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def test_address_of_this_node_is_told_from_others(address):
    assert NETWORK.has(address)


@pytest.mark.parametrize("address", NOBODYS)
def test_address_of_another_node_is_none_of_this(address):
    assert not NETWORK.has(address)


@pytest.mark.parametrize("everywhere", [False, True])
def test_port_is_taken_while_somebody_listens(address, everywhere):
    any_address = "::" if ":" in address else "0.0.0.0"  # noqa: S104
    place = any_address if everywhere else address
    with socket.create_server((place, 0), family=_family(address)) as listening:
        port = listening.getsockname()[1]
        assert NETWORK.is_taken(address, port)
    assert not NETWORK.is_taken(address, port)


def test_looking_takes_no_port_from_anybody(address):
    with socket.create_server((address, 0), family=_family(address)) as listening:
        port = listening.getsockname()[1]
    assert not NETWORK.is_taken(address, port)
    with socket.create_server((address, port), family=_family(address)):
        pass


@pytest.mark.parametrize("address", NOBODYS)
def test_nobody_listens_at_an_address_of_another_node(address):
    assert not NETWORK.is_taken(address, 3260)


def test_kernel_without_ipv6_has_no_such_address(monkeypatch):
    """As after a boot with ipv6.disable=1."""

    def refuse(*_arguments):
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(socket, "socket", refuse)
    assert not NETWORK.has("2001:db8::1")
    assert not NETWORK.is_taken("2001:db8::1", 3260)
