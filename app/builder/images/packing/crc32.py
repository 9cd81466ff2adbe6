"""CRC-32 of bytes, and of two sequences in a row from those of each (RFC 1952, section 8).

A remainder is a polynomial over GF(2) of a degree below 32.  The highest bit is the coefficient of
x^0, as in gzip's trailer.
"""

from functools import cache, lru_cache
from zlib import crc32 as zlib_crc32

try:
    from isal.isal_zlib import crc32
except ImportError:  # not built for this machine
    crc32 = zlib_crc32

__all__ = ("combine", "crc32")

_ONE = 1 << 31
_X = _ONE >> 1
_POLYNOMIAL = 0xEDB88320
# The polynomial is primitive, so that x^(2^32) is x again.
_SQUARES = 32
# Blocks of one size, and shorter ones at the end of a path.
_KEPT_LENGTHS = 256


def combine(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two sequences in a row; ``length`` is that of the second."""
    return _multiply(_shift(length), first) ^ second


@lru_cache(_KEPT_LENGTHS)
def _shift(length: int) -> int:
    """Return the remainder of x^(8 * length)."""
    result, exponent, square = _ONE, 8 * length, 0
    while exponent:
        if exponent & 1:
            result = _multiply(_power(square % _SQUARES), result)
        exponent >>= 1
        square += 1
    return result


@cache
def _power(square: int) -> int:
    """Return the remainder of x^(2^square)."""
    if not square:
        return _X
    root = _power(square - 1)
    return _multiply(root, root)


def _multiply(left: int, right: int) -> int:
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = right >> 1 ^ _POLYNOMIAL if right & 1 else right >> 1
    return product
