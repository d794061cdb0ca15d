# SPDX-License-Identifier: Apache-2.0
"""Glance's cinder store on a compute node: glance_store, without Glance's API."""

import hashlib
import io
import random
from types import SimpleNamespace
from typing import Any

import glance_store
from glance_store._drivers.cinder.store import Store
from oslo_config import cfg

from lab.guest import host
from lab.services.accounts import AUTH_URL, DOMAIN, REGION, USERS

_USER = USERS["glance"]


def _store(password: str, volume_type: str) -> Store:
    host.properties()  # prepares os-brick, as everything here is root
    glance_store.register_opts(cfg.CONF)
    options: dict[str, Any] = {
        "cinder_volume_type": volume_type,
        "cinder_store_auth_address": AUTH_URL,
        "cinder_store_user_name": _USER.name,
        "cinder_store_user_domain_name": DOMAIN,
        "cinder_store_password": password,
        "cinder_store_project_name": _USER.project,
        "cinder_store_project_domain_name": DOMAIN,
        "cinder_os_region_name": REGION,
        # Cinder reserves for one at a time: see the guide for Glance.
        "cinder_attachment_retry_attempts": 20,
    }
    for name, value in options.items():
        cfg.CONF.set_override(name, value, "glance_store")
    store = Store(cfg.CONF)
    store.configure()
    store.configure_add()
    return store


def _location(volume: str) -> Any:
    return SimpleNamespace(store_location=SimpleNamespace(volume_id=volume))


def add(password: str, volume_type: str, size: int) -> tuple[str, str]:
    """Store an image of so many bytes; give its volume's id and its digest."""
    data = random.Random(size).randbytes(size)  # noqa: S311 - no secret
    url, written, *_ = _store(password, volume_type).add(
        "image-of-the-lab",
        io.BytesIO(data),
        size,
        "sha256",
        context=SimpleNamespace(project_id="lab"),
    )
    assert written == size
    return url.rpartition("/")[2], hashlib.sha256(data).hexdigest()


def read(password: str, volume_type: str, volume: str) -> str:
    """Read an image as a download does; give its digest."""
    chunks, _size = _store(password, volume_type).get(_location(volume))
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def delete(password: str, volume_type: str, volume: str) -> None:
    """Delete an image."""
    _store(password, volume_type).delete(_location(volume))
