"""Store paths of content that is named by its hash, by Nix's specification. Pure."""

import hashlib
import re

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
STORE = "/nix/store"
UNFIT = re.compile(r"[^A-Za-z0-9+._?=-]")


def base32(digest: bytes) -> str:
    """Return Nix's base 32: five bits a character, from the last byte to the first."""
    number = int.from_bytes(digest, "little")
    length = (len(digest) * 8 - 1) // 5 + 1
    return "".join(ALPHABET[number >> 5 * index & 31] for index in reversed(range(length)))


def store_path(kind: str, sha256: str, name: str) -> str:
    digest = hashlib.sha256(f"{kind}:sha256:{sha256}:{STORE}:{name}".encode()).digest()
    folded = bytearray(20)
    for index, byte in enumerate(digest):
        folded[index % 20] ^= byte
    return f"{STORE}/{base32(bytes(folded))}-{name}"


def flat_path(sha256: str, name: str) -> str:
    """Return the path of a file by the hash (base 16) of its bytes."""
    inner = hashlib.sha256(f"fixed:out:sha256:{sha256}:".encode()).hexdigest()
    return store_path("output:out", inner, name)


def recursive_path(nar_sha256: str, name: str) -> str:
    """Return the path of a tree by the hash (base 16) of its NAR."""
    return store_path("source", nar_sha256, name)


def store_name(text: str) -> str:
    """Return a text as part of a store path's name; characters that Nix refuses become dashes."""
    return UNFIT.sub("-", text)
