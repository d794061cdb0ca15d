# SPDX-License-Identifier: Apache-2.0
"""The lab: an OpenStack block-storage cluster of real Linux kernels on one machine.

Nodes are User-Mode Linux kernels; the control plane runs natively beside them. All of
it lives in namespaces of its own and in one work folder, so that nothing can leak out.
"""
