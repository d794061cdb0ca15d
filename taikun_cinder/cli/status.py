# SPDX-License-Identifier: Apache-2.0
"""The exit statuses of the command, the same for all verbs."""

#: All is right, or what was asked for was done.
RIGHT = 0

#: Something differs, or something could not be looked at or done. It was printed.
WRONG = 1

#: The command line, the configuration or the user is wrong, or what a verb needs cannot
#: be had. Nothing was done.
NOTHING_DONE = 2
