# SPDX-License-Identifier: Apache-2.0
"""What the operator's check looks at: a node, its back ends, and what is around them.

``run.results`` gives all results. Each check is a function in the module of its room,
and ``catalogue`` lists them. None changes anything.
"""

from cinder import objects

objects.register_all()  # cinder.volume.manager cannot be imported before
