# SPDX-License-Identifier: Apache-2.0
"""The control plane: the daemons that need no kernel of their own.

They run natively in the lab's namespaces, at the address ``lab.plan.CONTROL``.
"""
