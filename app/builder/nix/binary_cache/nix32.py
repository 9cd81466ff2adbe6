"""Nix's base-32 and the notations of hashes (Nix: doc/manual, "nix32")."""

import base64
import binascii

_DIGITS = "0123456789abcdfghijklmnpqrsvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}


def encode(data: bytes) -> str:
    """Return the digits of a little-endian integer, the most significant first."""
    number = int.from_bytes(data, "little")
    length = (len(data) * 8 + 4) // 5
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(length)))


def decode(text: str, size: int) -> bytes:
    """Return the ``size`` bytes that the text encodes.

    Raises ValueError if the text is not the encoding of so many bytes.
    """
    number = 0
    for digit in text:
        if digit not in _VALUES:
            raise ValueError(f"not a digit of base 32: {digit!r}")
        number = number << 5 | _VALUES[digit]
    try:
        data = number.to_bytes(size, "little")
    except OverflowError:
        raise ValueError(f"not {size} bytes in base 32") from None
    if encode(data) != text:
        raise ValueError(f"not {size} bytes in base 32")
    return data


def parse_hash(text: str) -> tuple[str, bytes]:
    """Parse ``algorithm:digest`` in base 32, 16 or 64, or ``algorithm-base64``.

    Return the algorithm and the digest.  Raises ValueError.
    """
    separator = ":" if ":" in text else "-"
    algorithm, _, digest = text.partition(separator)
    size = _SIZES.get(algorithm)
    if size is None:
        raise ValueError(f"not a hash: {text[:100]!r}")
    try:
        if len(digest) == 2 * size:
            return algorithm, bytes.fromhex(digest)
        if len(digest) == (size * 8 + 4) // 5:
            return algorithm, decode(digest, size)
        data = base64.b64decode(digest, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"not a hash: {text[:100]!r}") from None
    if len(data) != size:
        raise ValueError(f"not a hash: {text[:100]!r}")
    return algorithm, data
