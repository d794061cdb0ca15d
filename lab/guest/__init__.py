# SPDX-License-Identifier: Apache-2.0
"""The modules that run inside a node of the lab, for all that use the lab.

They boot the node and serve the host's calls; they start Cinder's services; they
connect a host to a volume, and let an application write there, for the demo, the tests
and the measurements alike. Modules that only the tests call in a node are in
``tests/lab/guest``, those of the measurements in ``bench/guest``: the lab needs
neither.
"""
