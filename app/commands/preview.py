"""``nixery preview``: what a pull of an image would take, without building anything."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from app.builder.builds.preview import ImagePreview, Place, PreviewedImage
from app.commands.failures import exit_on_errors
from app.commands.pulling import services
from app.commands.terminal import ProgressLine
from app.reference import ImageReference, Tag
from app.routers.plan_documents import plan_of
from app.text.sanitize import printable
from app.text.size import readable_size

_INTERVAL_SECONDS = 0.2
_WORDS = {
    Place.PACKED: "packed",
    Place.STORE: "in the Nix store",
    Place.CACHE: "in a binary cache",
    Place.BUILD: "to be built",
    Place.NOWHERE: "not available",
}


def command(
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="As in docker pull.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the document of GET /api/plan.")
    ] = False,
) -> None:
    """Print what a pull would take: sizes, layers, and what would be built.

    Packages are evaluated with the settings of the server. Nothing is built, downloaded or packed.
    """
    with exit_on_errors("preview", interrupted="nothing was built"):
        reference = ImageReference.to_build(name)
        preview = asyncio.run(_preview(reference))
        if as_json:
            assert isinstance(reference.reference, Tag)
            plan = plan_of(reference.name, reference.reference, preview)
            sys.stdout.write(json.dumps(plan.model_dump(mode="json"), indent=2) + "\n")
            return
        sys.stdout.write(printable(f"{reference.name}:{reference.reference}") + "\n")
        for image in preview.images:
            sys.stdout.write("".join(f"{printable(line)}\n" for line in _lines(image)))
        for lacking in preview.lacking:
            sys.stdout.write(f"{lacking.architecture}: {printable(lacking.reason)}\n")


async def _preview(reference: ImageReference) -> ImagePreview:
    async with services() as state:
        job = state.images.preview(reference, client="")
        line = ProgressLine(sys.stderr)
        try:
            while (preview := await job.wait(_INTERVAL_SECONDS)) is None:
                if line.is_due():
                    line.show(f"{reference.name}: {job.stage or 'starting'}, {line.elapsed:.0f} s")
        finally:
            line.clear()
        return preview


def _lines(image: PreviewedImage) -> list[str]:
    counts = [
        f"{count} {_WORDS[place]}"
        for place in Place
        if (count := sum(path.place is place for path in image.paths))
    ]
    unpacked = readable_size(sum(path.nar_size or 0 for path in image.paths))
    download = sum(path.download_size or 0 for path in image.paths)
    found = "stored" if image.digest else "not stored"
    lines = [
        f"{image.architecture}: {found}{f', {image.digest}' if image.digest else ''}",
        f"  store paths   {len(image.paths)}: {', '.join(counts)}",
        f"  unpacked      {unpacked}{'' if image.is_complete else ' at least'}",
    ]
    if download:
        lines.append(f"  to download   {readable_size(download)}")
    if image.is_complete:
        stored = sum(layer.is_stored for layer in image.layers)
        lines.append(f"  layers        {image.layer_count}; {stored} of them stored")
    lines.append(f"  to build      {len(image.builds)} derivations")
    lines += [f"                {path.name}" for path in image.builds[:20]]
    return lines
