"""Lock files of flakes, for inputs that no Nix has to fetch first."""

import json
from pathlib import Path

from tests.e2e.process import succeed
from tests.unit.builder.sources.git.repository import Repository


def lock(
    repository: Repository,
    location: str,
    nar_hash: str,
    directory: str = "",
    name: str = "library",
) -> None:
    """Commit a lock file as Nix writes it, for one input."""
    kind = "path" if location.startswith("/") else "tarball"
    place: dict[str, object] = {"url": location}
    if kind == "path":
        place = {"path": location}
    date = {"lastModified": 1} if kind == "path" else {}
    document = {
        "nodes": {
            name: {
                "locked": {"narHash": nar_hash, "type": kind, **place, **date},
                "original": {"type": kind, **place},
            },
            "root": {"inputs": {name: name}},
        },
        "root": "root",
        "version": 7,
    }
    repository.commit(json.dumps(document), f"{directory}flake.lock")


def nar_hash(path: Path) -> str:
    """Return the hash of a directory as lock files have it."""
    digest = succeed("nix-hash", "--type", "sha256", "--base32", str(path)).strip()
    features = ("--extra-experimental-features", "nix-command")
    return succeed("nix", "hash", "to-sri", "--type", "sha256", digest, *features).strip()
