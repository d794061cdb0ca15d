# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a server, by its serial port; ``lab/nova/init.sh`` answers."""

import os
import re
import select
import time
import tty

from lab.guest.hypervisor import virsh


def run(domain: str, command: str, timeout: float) -> tuple[int, str]:
    """Run a shell command in a server; give its status and all that it printed.

    Args:
        domain: libvirt's name of the server.
        command: one line.
        timeout: in seconds.

    Raises:
        RuntimeError: the server is not on this host, or does not answer in time.
    """
    found = virsh("ttyconsole", domain)
    if found.returncode:
        raise RuntimeError(f"{domain} has no console here: {found.stderr.strip()}")
    port = os.open(found.stdout.strip(), os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(port)
        word = f"W{time.monotonic_ns()}"
        _write(port, f"{word} {command}\n".encode())
        return _answer(port, word, domain, timeout)
    finally:
        os.close(port)


def _write(port: int, line: bytes) -> None:
    # The emulated port has room for 16 characters, and QEMU drops none; the pause is
    # for the server's kernel, whose line has room for one buffer.
    for at in range(0, len(line), 64):
        os.write(port, line[at : at + 64])
        time.sleep(0.02)


def _answer(port: int, word: str, domain: str, timeout: float) -> tuple[int, str]:
    whole = re.compile(rf"{word} begins\n(.*?){word} ended with (\d+)", re.DOTALL)
    said = ""
    deadline = time.monotonic() + timeout
    while not (match := whole.search(said)):
        left = deadline - time.monotonic()
        if left < 0:
            raise RuntimeError(
                f"{domain} gave no answer in {timeout:.0f} s, but: {said[-300:]!r}"
            )
        if select.select([port], [], [], left)[0]:
            got = os.read(port, 4096).decode(errors="replace")
            said += got.replace("\r", "")
    return int(match[2]), match[1]
