# SPDX-License-Identifier: Apache-2.0
"""Lets passwords be compared, and told to nobody.

No caller needs the password that the kernel has: it knows the one that should be there.
So the privileged process tells a digest under the caller's key. oslo.privsep's daemon
writes each answer to the log at debug level (oslo_privsep/daemon.py,
_create_done_callback), but not what it was asked, so not the key.
"""

import hmac
import secrets

KEY_BYTES = 32


def new_key() -> bytes:
    """Make a key for a caller."""
    return secrets.token_bytes(KEY_BYTES)


def labelled(key: bytes, label: str) -> bytes:
    """Give the key for one label, so that no two labels' digests look alike."""
    return hmac.digest(key, label.encode(), "sha256")


def digest(password: str, key: bytes, label: str) -> bytes:
    """Give the digest of a password that was read from what the label names."""
    return hmac.digest(labelled(key, label), password.encode(), "sha256")
