"""Check that the default source can be used, without evaluating it."""

import json
from pathlib import Path

from app.builder.nix.binary_cache.content_address import ContentAddress
from app.builder.nix.closure import StorePath
from app.builder.sources.definition import PathDefinition
from app.builder.sources.source import Source
from app.errors import SourceUnavailable
from app.reference import LATEST_TAG
from app.system.blocking import blocking
from app.system.workers import Workers


async def check_opened(source: Source, *, system: str, workers: Workers) -> None:
    """Raise a RegistryError if the source cannot be used, with the reason."""
    await source.resolve(LATEST_TAG)
    definition = source.definition
    if isinstance(definition, PathDefinition):
        await workers.run(_check_files, definition, system)


@blocking
def _check_files(definition: PathDefinition, system: str) -> None:
    location = definition.location
    if location.is_dir() and not (location / "default.nix").is_file():
        raise SourceUnavailable(
            f"source {definition.name} cannot be opened: {location.name} has no default.nix"
        )
    lock = location / "locks" / f"{system}.json"
    if lock.is_file() and not Path(str(_runtime_path(lock))).exists():
        raise SourceUnavailable(
            f"the packages of source {definition.name} are not prepared: run `nixery prepare`"
        )


def _runtime_path(lock: Path) -> StorePath:
    """Return the store path of the build environment that ``nixery prepare`` adds.

    The path contains a hash of the content: docs/package-set.md, "Seeding".
    """
    runtime = json.loads(lock.read_bytes())["build"]["runtime"]
    address = ContentAddress("recursive", "sha256", bytes.fromhex(runtime["narHash"]))
    return address.path(runtime["name"], (), to_itself=False)
