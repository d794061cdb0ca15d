# SPDX-License-Identifier: Apache-2.0
"""Stories of servers of a real Nova that share volumes of this driver."""
