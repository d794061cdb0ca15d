# SPDX-License-Identifier: Apache-2.0
"""What crosses from the privileged process, and how it gets over being lost."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from taikun_cinder.privsep import cipher, client, refusal, reservations


def test_digests_of_one_password_differ_by_key_and_by_label():
    key, other = cipher.new_key(), cipher.new_key()
    digest = cipher.digest("password", key, "a")
    assert b"password" not in digest
    assert cipher.digest("password", key, "a") == digest
    assert cipher.digest("password", key, "b") != digest
    assert cipher.digest("password", other, "a") != digest


def test_refusal_survives_the_way_and_says_it_in_words():
    error = refusal.KernelRefused.of(2, "add portal", OSError(98, "", "/sys/np/x"))
    again = refusal.KernelRefused(*error.args)
    assert again.step == 2
    for word in ("add portal", "EADDRINUSE", "already in use", "/sys/np/x"):
        assert word in str(again)


def test_saved_reservations_are_given_back_one_by_one():
    saved = (
        "PR_REG_START: 0\ninitiator_fabric=iSCSI\nsa_res_key=1\nPR_REG_END: 0\n"
        "PR_REG_START: 1\ninitiator_fabric=iSCSI\nsa_res_key=2\nPR_REG_END: 1\n"
    )
    assert list(reservations.parse(saved)) == [
        "initiator_fabric=iSCSI,sa_res_key=1",
        "initiator_fabric=iSCSI,sa_res_key=2",
    ]


def test_privileged_process_loads_neither_cinder_nor_rtslib():
    script = (
        "import sys, taikun_cinder.privsep.lio\n"
        "sys.exit(any(m.partition('.')[0] in ('cinder', 'rtslib_fb')"
        " for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_whoever_waits_is_told_that_the_privileged_process_was_lost():
    told: list[Exception] = []
    waiting = SimpleNamespace(set_exception=told.append)
    reader = threading.Thread(target=time.sleep, args=(0.05,))
    channel = SimpleNamespace(
        reader_thread=reader,
        lock=threading.Lock(),
        outstanding_msgs={"1": waiting},
        running=True,
    )
    reader.start()
    client._tidy_up(channel)
    assert isinstance(told[0], ConnectionError)
    assert not channel.running
    with pytest.raises(ConnectionError):
        raise told[0]
