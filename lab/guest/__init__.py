# SPDX-License-Identifier: Apache-2.0
"""What runs inside a node of the lab, whoever uses the lab.

It boots the node and serves the host's calls; it starts Cinder's services; it connects
a host to a volume, and lets an application write there, for the demo, the tests and the
measurements alike. What only the tests call in a node is in ``tests/lab/guest``, what
only the measurements do in ``bench/guest``: the lab needs neither.
"""
