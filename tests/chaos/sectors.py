# SPDX-License-Identifier: Apache-2.0
"""How a value fills a sector, so that half of one is told from a whole one."""

SIZE = 512

#: The longest value, with its end: a sector has it twice at least.
_LONGEST = SIZE // 2


def fill(value: str) -> bytes:
    """Give a sector that is full of a value, whose end shows where it is torn.

    Raises:
        ValueError: the value is too long for that.
    """
    one = f"{value}\n".encode()
    if len(one) > _LONGEST:
        raise ValueError(f"the value {value} is too long for a sector")
    return _full(one)


def value(sector: bytes) -> str:
    """Give the value that a sector is full of; ``BLANK`` is that of zeros.

    Returns:
        what no write has as its value, if the sector has parts of several, or others'
        bytes.
    """
    if not any(sector):
        return ""
    first, end, _ = sector[:_LONGEST].partition(b"\n")
    if first and end and sector == _full(first + end):
        return first.decode("ascii", "backslashreplace")
    return f"torn: {sector[:48].hex()}...{sector[-48:].hex()}"


def _full(one: bytes) -> bytes:
    return (one * (SIZE // len(one) + 1))[:SIZE]
