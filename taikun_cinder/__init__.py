# SPDX-License-Identifier: Apache-2.0
"""A Cinder volume driver: LVM volumes that many servers can attach safely."""
