# SPDX-License-Identifier: Apache-2.0
"""Anything at all where input comes from outside: a clear error, nothing changed."""
