"""The entry of one store path in a binary cache (Nix manual, "Binary cache", narinfo)."""

from dataclasses import dataclass

from app.builder.nix.closure import StorePath
from app.errors import OperatorError

# Real ones have some hundred bytes; the longest have thousands of references.
SIZE_LIMIT = 4_000_000


class NarInfoInvalid(OperatorError, ValueError):
    pass


@dataclass(frozen=True, slots=True)
class NarInfo:
    """``references`` are in the narinfo's order and may hold the path itself."""

    path: StorePath
    nar_size: int
    references: tuple[StorePath, ...]


def parse_narinfo(document: bytes, hash_part: str) -> NarInfo:
    """Of the path with this hash; a cache that answers for another path is wrong, as in Nix.

    Raises NarInfoInvalid.
    """
    try:
        lines = document.decode().splitlines()
        fields = dict(line.split(":", 1) for line in lines if line)
        path = StorePath.parse(fields["StorePath"].strip())
        nar_size = int(fields["NarSize"])
        references = tuple(StorePath.parse(base) for base in fields.get("References", "").split())
    except KeyError as error:
        raise NarInfoInvalid(f"no narinfo: it has no {error.args[0]}") from None
    except ValueError as error:
        raise NarInfoInvalid(f"no narinfo: {error}") from None
    if nar_size <= 0:
        raise NarInfoInvalid("no narinfo: NarSize is not above 0")
    if path.hash_part != hash_part:
        raise NarInfoInvalid(f"the narinfo of {hash_part} is that of {path}")
    return NarInfo(path, nar_size, references)
