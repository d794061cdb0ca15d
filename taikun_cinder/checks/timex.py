# SPDX-License-Identifier: Apache-2.0
"""What the kernel knows of its clock, see adjtimex(2)."""

import ctypes

#: STA_UNSYNC of linux/timex.h: nobody has set the clock for long.
_UNSYNCHRONISED = 0x40


class Timex(ctypes.Structure):
    """struct timex of linux/timex.h, as far as it is needed here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


def synchronised() -> bool | None:
    """Say whether somebody keeps the kernel's clock; None if it does not tell."""
    state = Timex()
    return None if adjtimex(state) < 0 else not state.status & _UNSYNCHRONISED


def adjtimex(state: Timex) -> int:
    """Ask the kernel about its clock, or tell it; a negative number if it refuses."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.byref(state)))
