"""Parse the output of ``nix path-info --json``, which has three forms.

Nix 2.8 prints a list, and 2.19 an object by path.  Nix 2.33 with ``--json-format 2`` prints that
object below ``info``, with base names for paths.
"""

import base64
import json
from collections.abc import Iterator

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.system.blocking import blocking

_SHA256 = 32


@blocking
def parse(output: bytes) -> Closure:
    """Return the closure; raises ValueError, also for a path that is not valid in the store."""
    return Closure(_object(path, info) for path, info in _rows(json.loads(output)))


def _rows(document: object) -> Iterator[tuple[str, object]]:
    match document:
        case {"info": dict(by_path), "version": _}:
            yield from _rows(by_path)
        case dict(by_path):
            yield from by_path.items()
        case list(infos):
            for info in infos:
                yield str(info["path"] if isinstance(info, dict) else info), info
        case _:
            raise ValueError("neither a list nor an object")


def _object(path: str, info: object) -> StoreObject:
    own = StorePath.parse(path)
    match info:
        case {"narSize": int(size), "references": list(references), "narHash": str(text)}:
            pass
        case _:
            raise ValueError(f"{path} is not in the store")
    others = {StorePath.parse(str(reference)) for reference in references} - {own}
    return StoreObject(own, size, tuple(sorted(others)), _sha256(text).hex())


def _sha256(text: str) -> bytes:
    algorithm, _, encoded = text.partition("-")
    digest = base64.b64decode(encoded, validate=True)
    if algorithm != "sha256" or len(digest) != _SHA256:
        raise ValueError(f"not a SHA-256: {text[:100]!r}")
    return digest


@blocking
def signers(output: bytes, path: str) -> tuple[str, ...]:
    """Return the names of the keys in a path's signatures.  Raises ValueError."""
    for found, info in _rows(json.loads(output)):
        if path.endswith(found) and isinstance(info, dict):
            signatures = info.get("signatures") or []
            return tuple(dict.fromkeys(map(_signer, signatures)))
    raise ValueError(f"{path} is missing from the output")


def _signer(signature: object) -> str:
    if isinstance(signature, dict):
        return str(signature.get("keyName", ""))
    return str(signature).partition(":")[0]
