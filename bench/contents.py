"""Bytes of the layers that are not store paths, and of copies in place of links to programs.

usage: bench/contents.py [--packages DIRECTORY] [IMAGE ...]

"Own files" is the compressed size of the layer without store paths: the files of every image,
and its links to packages.  "Programs" is the compressed size of the programs themselves, which
/bin would have in place of links.
"""

import argparse
import io
import json
import sys
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.again import Server, running
from bench.common import small_set

IMAGES = ("shell/git/htop", "python3/curl")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Compressed bytes."""

    image: int
    own: int
    programs: int


def measured(server: Server, name: str) -> Sizes:
    layers = json.loads(server.get(f"/v2/{name}/manifests/latest"))["layers"]
    links = server.get(f"/v2/{name}/blobs/{layers[-1]['digest']}")
    with tarfile.open(fileobj=io.BytesIO(links)) as archive:
        programs = [
            Path(member.linkname.replace("..", "", 1)).resolve()
            for member in archive
            if member.issym() and member.name.startswith("bin/") and member.name.count("/") == 1
        ]
    files = {program for program in programs if program.is_file()}
    return Sizes(
        image=sum(layer["size"] for layer in layers),
        own=layers[-1]["size"],
        programs=sum(len(zlib.compress(file.read_bytes(), 6)) for file in files),
    )


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--packages", type=Path, help="default: prepared now")
    parser.add_argument("images", nargs="*", default=IMAGES)
    arguments = parser.parse_args()
    packages = arguments.packages or small_set()
    print(f"{'image':24}{'MB':>8}{'own files, kB':>16}{'%':>8}{'programs, MB':>16}{'%':>8}")
    with (
        tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory,
        running(Path(directory), packages) as server,
    ):
        for name in arguments.images:
            sizes = measured(server, name)
            print(
                f"{name:24}{sizes.image / 1e6:8.1f}"
                f"{sizes.own / 1e3:16.1f}{100 * sizes.own / sizes.image:8.2f}"
                f"{sizes.programs / 1e6:16.1f}{100 * sizes.programs / sizes.image:8.1f}"
            )


if __name__ == "__main__":
    main()
