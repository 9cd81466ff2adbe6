"""The clients themselves, against a registry of forty lines with one busybox in it.

Where these fail, look at the machine (runc, cgroups, overlay), not at our server.
"""

import functools
import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.oci import Digest, MediaType, canonical_json
from tests.e2e.clients import Client, pull
from tests.e2e.static_registry import serving

pytestmark = pytest.mark.e2e


@functools.cache
def busybox_image() -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and blobs by digest; the one layer is of two gzip members."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "sys"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(Path("/bin/busybox").resolve(), "bin/busybox")
        entry = tarfile.TarInfo("bin/echo")
        entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(entry)
    whole = layer.getvalue()
    packed = gzip.compress(whole[:100_000], mtime=0) + gzip.compress(whole[100_000:], mtime=0)
    config = canonical_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(whole))]},
        }
    )
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MediaType.OCI_MANIFEST,
            "config": descriptor(MediaType.OCI_CONFIG, config),
            "layers": [descriptor(MediaType.OCI_LAYER_GZIP, packed)],
        }
    )
    return manifest, {str(Digest.of(blob)): blob for blob in (manifest, config, packed)}


def descriptor(media_type: MediaType, content: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """HOST:PORT of a server that knows the one image under every name and tag."""
    with serving(*busybox_image()) as address:
        yield address


def test_every_client_runs_a_program_from_a_known_good_image(client: Client, registry: str) -> None:
    image = f"{registry}/busybox:latest"

    pull(client, image)

    assert client.run(image, "echo", "ran", "in", client.name) == f"ran in {client.name}\n"
