# SPDX-License-Identifier: Apache-2.0
"""Keeps passwords out of what oslo.privsep logs.

Its daemon writes each answer to the log at debug level (oslo_privsep/daemon.py,
_create_done_callback), but not what it was asked. So the caller makes a key for each
call, and the answer is readable with that key only.
"""

import hashlib
import secrets

KEY_BYTES = 32


def new_key() -> bytes:
    """Make a key for one call."""
    return secrets.token_bytes(KEY_BYTES)


def encrypt(text: str, key: bytes, label: str) -> bytes:
    """Make a text unreadable without the key; no two labels of a key look alike."""
    plain = text.encode()
    return bytes(a ^ b for a, b in zip(plain, _stream(key, label, plain), strict=True))


def decrypt(hidden: bytes, key: bytes, label: str) -> str:
    """Make it readable again."""
    stream = _stream(key, label, hidden)
    return bytes(a ^ b for a, b in zip(hidden, stream, strict=True)).decode()


def _stream(key: bytes, label: str, like: bytes) -> bytes:
    return hashlib.shake_256(key + label.encode()).digest(len(like))
