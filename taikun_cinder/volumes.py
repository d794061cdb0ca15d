# SPDX-License-Identifier: Apache-2.0
"""The volumes of a back end, as Cinder's database has them."""

from typing import Any

from cinder import context, objects


def of_backend(host: str, **filters: Any) -> list[Any]:
    """List the volumes of a back end: one query for all.

    Args:
        host: the back end's, as ``node@backend``.
        filters: attributes that they have.
    """
    return list(
        objects.VolumeList.get_all_by_host(
            context.get_admin_context(), host, filters or None
        )
    )
