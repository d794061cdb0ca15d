# SPDX-License-Identifier: Apache-2.0
"""Nova in the lab: its control plane, hypervisors on the compute nodes, and servers.

An ordinary lab has none of it; ``lab.nova.cluster`` has the cluster that does. Nova's
services run in a virtual environment of their own, which ``tools/environment.py nova``
fills.
"""
