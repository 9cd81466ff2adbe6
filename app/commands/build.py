"""``nixery build``: an image as a file, a directory or in a Docker daemon, without a registry."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from app.builder.images.image import Built
from app.commands.exporting import (
    Exported,
    OpenBlob,
    load_into_docker,
    write_directory,
    write_tar_file,
)
from app.commands.failures import exit_on_errors
from app.commands.layout import (
    blobs_of,
    documents_of,
    image_for,
    manifests_of,
    path_of,
    top_of,
)
from app.commands.pulling import build_image, services
from app.reference import ImageReference
from app.state import AppState

_LAYOUT_PREFIX = "oci:"
_DAEMON = "docker-daemon"
_STDOUT = "-"


def _possible(output: str) -> str:
    """Reject an impossible destination before a long build."""
    if output in (_DAEMON, _STDOUT):
        return output
    path = Path(output.removeprefix(_LAYOUT_PREFIX))
    if not path.parent.is_dir():
        raise typer.BadParameter(f"directory {path.parent} does not exist")
    if path.is_dir() != output.startswith(_LAYOUT_PREFIX) and path.exists():
        kind = "a directory" if path.is_dir() else "not a directory"
        raise typer.BadParameter(f"{path} is {kind}; a directory is given as oci:DIRECTORY")
    return output


def command(
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="As in docker pull.")],
    *,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            callback=_possible,
            metavar="FILE|oci:DIRECTORY|docker-daemon",
            help="A tar archive for docker load, podman load and skopeo; - is standard output. An"
            " OCI image layout. Or the Docker daemon, by the program docker.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build an image without a registry, with the settings of the server.

    The digest that is printed is the one that a server with the same settings serves.
    """
    with exit_on_errors("build", interrupted="run the same command again; finished parts are kept"):
        reference = ImageReference.to_build(name)
        built = asyncio.run(_build(reference, output))
        _print(reference, built, sys.stderr if output == _STDOUT else sys.stdout, as_json=as_json)


async def _build(reference: ImageReference, output: str) -> Built:
    async with services() as state:
        built = await build_image(state, reference)
        exported = await _exported(state, reference, built)
        await _write(exported, state.blobs.open, output)
        return built


async def _exported(state: AppState, reference: ImageReference, built: Built) -> Exported:
    """Return the files of an image as they are stored.  Raises ManifestUnknown."""
    manifests = {one: (await state.manifests.read(one.digest)).body for one in manifests_of(built)}
    own = image_for(built, state.architecture)
    documents = documents_of(built, reference, json.loads(manifests[own.manifest]))
    for manifest, body in manifests.items():
        documents[path_of(manifest)] = body
    return Exported(documents, blobs_of(built))


async def _write(exported: Exported, open_blob: OpenBlob, output: str) -> None:
    """Write the image to the output that the user chose.  Raises CannotWrite, OSError."""
    if output == _DAEMON:
        await load_into_docker(exported, open_blob)
    elif output.startswith(_LAYOUT_PREFIX):
        directory = Path(output.removeprefix(_LAYOUT_PREFIX))
        await asyncio.to_thread(write_directory, exported, open_blob, directory)
    else:
        await asyncio.to_thread(write_tar_file, exported, open_blob, Path(output))


def _print(reference: ImageReference, built: Built, stream: TextIO, *, as_json: bool) -> None:
    digest = top_of(built).digest
    size = sum(blob.size for blob in blobs_of(built))
    if as_json:
        result = {"image": str(reference.name), "tag": str(reference.reference)}
        text = json.dumps({**result, "digest": str(digest), "bytes": size})
    else:
        text = f"{reference.name}:{reference.reference} {digest}, {size / 1e6:.1f} MB"
    stream.write(f"{text}\n")
