# SPDX-License-Identifier: Apache-2.0
"""OpenStack's own tests of a cloud, tempest, on the lab's cluster."""
