# SPDX-License-Identifier: Apache-2.0
"""Exports by the kernel's own target, LIO.

``states`` says what LIO can have for one volume, ``steps`` and ``disk_steps`` what can
be done to it, with the effect of each step. ``differences`` and ``parts`` compare a
state with an export, and ``kinds`` names what they find; ``plan`` leads from the one to
the other, ``audit`` explains. All of these are pure. ``kernel`` asks the node's LIO
through the privileged process (``privsep``), ``answers`` has the form of what it tells,
``target`` keeps the contract of ``targets.base``, and ``iscsi`` says how a host
connects.

A new kind of change is written in three places: the step with its effect in ``steps``,
the difference that asks for it in ``differences``, and the change itself, with the
checks of its input, in ``privsep.changes``.
"""
