# SPDX-License-Identifier: Apache-2.0
"""What a run ends with in which a law was broken."""


class BrokenError(BaseException):
    """A law is broken. It is no ``Exception``, so that nothing of the driver's has it.

    The text begins with the law.
    """
