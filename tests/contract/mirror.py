"""A Debian archive in a directory, made of packages downloaded before."""

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path


def make_mirror(
    directory: Path, codenames: tuple[str, ...], packages: Iterable[Path]
) -> Mapping[str, str]:
    """Returns the source, as apt's own configuration would name it."""
    pool = directory / "pool"
    pool.mkdir()
    paragraphs = []
    for package in packages:
        link = pool / package.name
        link.symlink_to(package)
        paragraphs.append(
            f"{control(package)}Filename: pool/{package.name}\nSize: {package.stat().st_size}\n"
            f"SHA256: {hashlib.sha256(package.read_bytes()).hexdigest()}\n"
        )
    content = "\n".join(paragraphs).encode()
    for codename in codenames:
        release = directory / "dists" / codename
        (release / "main/binary-amd64").mkdir(parents=True)
        (release / "main/binary-amd64/Packages").write_bytes(content)
        (release / "Release").write_text(
            f"Suite: {codename}\nCodename: {codename}\nArchitectures: amd64\nComponents: main\n"
            "Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-amd64/Packages\n"
        )
    return {
        "Types": "deb",
        "URIs": f"file:{directory}",
        "Suites": " ".join(codenames),
        "Components": "main",
        "Trusted": "yes",
    }


def control(package: Path) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", package], check=True, capture_output=True, text=True
    )
    return done.stdout
