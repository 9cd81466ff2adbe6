"""After any damage to storage, the next pull serves the whole image again or fails with a reason."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

NAME = "shell/jq"
Damage = Callable[[bytes], bytes]
RECORDS = ("attributes", "builds", "closures", "layers", "listings", "paths", "revisions", "tags")
DAMAGES: dict[str, Damage] = {
    "cut off": lambda body: body[: len(body) // 2],
    "no text": lambda body: b"\xff\xfe\0" + body,
    "other fields": lambda body: body.replace(b'":', b's":'),
    "other types": lambda body: b"\n".join(map(_other_types, body.splitlines())),
    "another value": lambda body: body[:-3] + bytes([body[-3] ^ 1]) + body[-2:],
    "foreign": lambda _: b'{"digest":"sha256:0"}',
    "other digests": lambda body: body.replace(b"sha256:", b"sha256:-"),
}


def _other_types(line: bytes) -> bytes:
    value = json.loads(line)
    if not isinstance(value, dict):
        return b"{}"
    return json.dumps({key: [None] for key in value}).encode()


@pytest.fixture(scope="module")
def built(packages: Path, module_server: ServerFactory) -> tuple[Server, str, Path]:
    """A stopped server, what its image is, and a copy of its storage."""
    server = module_server(packages)
    digest = server.digest(NAME)
    server.stop()
    whole = server.storage.with_name("whole")
    shutil.copytree(server.storage, whole)
    return server, digest, whole


def damage(storage: Path, kind: str, change: Damage) -> int:
    changed = 0
    for file in (storage / kind).rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            damaged = change(body)
            # A new file, as the old one may be open somewhere.
            file.unlink()
            file.write_bytes(damaged)
            changed += damaged != body
    return changed


def restored(server: Server, whole: Path) -> Path:
    shutil.rmtree(server.storage)
    shutil.copytree(whole, server.storage)
    return server.storage


def assert_serves(server: Server, digest: str) -> None:
    server.start()
    assert server.digest(NAME) == digest
    manifest = server.get(f"/v2/{NAME}/manifests/{digest}").json()
    for blob in (manifest["config"], *manifest["layers"]):
        body = server.get(f"/v2/{NAME}/blobs/{blob['digest']}").content
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == blob["digest"]
        assert len(body) == blob["size"]
    server.stop()


@pytest.mark.parametrize("name", DAMAGES)
def test_records_damaged_in_any_way_are_found_out_again(
    built: tuple[Server, str, Path], name: str
) -> None:
    server, digest, whole = built
    storage = restored(server, whole)

    # All at once, or the first good one would hide the others.
    changed = sum(damage(storage, kind, DAMAGES[name]) for kind in RECORDS)

    assert changed > 4
    assert_serves(server, digest)


@pytest.mark.parametrize("kind", ["attributes", "closures", "layers", "listings", "paths"])
def test_records_of_one_kind_may_be_damaged_among_good_ones(
    built: tuple[Server, str, Path], kind: str
) -> None:
    server, digest, whole = built
    storage = restored(server, whole)
    shutil.rmtree(storage / "builds")

    assert damage(storage, kind, DAMAGES["other types"])

    assert_serves(server, digest)


@pytest.mark.parametrize("kind", ["blobs", "manifests"])
def test_blobs_and_manifests_of_the_wrong_size_are_made_again(
    built: tuple[Server, str, Path], kind: str
) -> None:
    server, digest, whole = built

    assert damage(restored(server, whole), kind, DAMAGES["cut off"])

    assert_serves(server, digest)


def test_what_is_damaged_while_the_server_runs_is_made_again_once_missed(
    built: tuple[Server, str, Path],
) -> None:
    server, digest, whole = built
    storage = restored(server, whole)
    server.start()
    assert server.digest(NAME) == digest
    manifest = server.get(f"/v2/{NAME}/manifests/{digest}").json()
    lost = manifest["layers"][3]["digest"]
    (storage / "blobs" / "sha256" / lost.partition(":")[2]).unlink()
    assert server.get(f"/v2/{NAME}/blobs/{lost}").status_code == 404

    assert server.digest(NAME) == digest

    assert server.get(f"/v2/{NAME}/blobs/{lost}").status_code == 200
    server.stop()


@pytest.mark.parametrize("forgotten", [(), ("builds", "layers", "paths")])
def test_what_is_cut_short_while_the_server_runs_is_missing_until_it_is_made_again(
    built: tuple[Server, str, Path], forgotten: tuple[str, ...]
) -> None:
    server, digest, whole = built
    storage = restored(server, whole)
    for kind in forgotten:  # so that the running server packs, else it finds
        shutil.rmtree(storage / kind)
    server.start()
    assert server.digest(NAME) == digest
    manifest = server.get(f"/v2/{NAME}/manifests/{digest}").json()
    layer = max(manifest["layers"], key=lambda layer: int(layer["size"]))
    path = f"/v2/{NAME}/blobs/{layer['digest']}"
    os.truncate(storage / "blobs" / "sha256" / layer["digest"].partition(":")[2], 1000)

    for _ in range(2):
        answer = server.get(path)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["code"] == "BLOB_UNKNOWN"
        assert "pull by tag" in answer.json()["errors"][0]["message"]

    assert server.digest(NAME) == digest
    assert f"sha256:{hashlib.sha256(server.get(path).content).hexdigest()}" == layer["digest"]
    server.stop()


def test_wrong_bytes_of_the_right_size_are_named_deleted_and_made_again(
    built: tuple[Server, str, Path],
) -> None:
    server, digest, whole = built
    storage = restored(server, whole)
    server.start()
    assert server.digest(NAME) == digest
    manifest = server.get(f"/v2/{NAME}/manifests/{digest}").json()
    wrong = [manifest["config"], manifest["layers"][0], manifest["layers"][-1]]
    keys = [f"blobs/{descriptor['digest'].replace(':', '/')}" for descriptor in wrong]
    right = [(storage / key).read_bytes() for key in keys]
    assert server.command("verify").returncode == 0
    for key, body in zip(keys, right, strict=True):
        (storage / key).write_bytes(body[:-1] + bytes([body[-1] ^ 1]))

    found = server.command("verify")
    deleted = server.command("verify", "--delete")

    assert (found.returncode, deleted.returncode) == (1, 1), found.stderr
    for done in (found, deleted):
        named = re.findall(r"^(\S+): damaged", done.stdout, re.MULTILINE)
        assert sorted(named) == sorted(keys)
    assert server.command("verify").returncode == 0
    # The server takes them to be there until a client requests one that is missing.
    lost = [server.get(f"/v2/{NAME}/blobs/{descriptor['digest']}") for descriptor in wrong]
    assert [answer.status_code for answer in lost] == [404, 404, 404]
    assert server.digest(NAME) == digest
    assert [
        server.get(f"/v2/{NAME}/blobs/{descriptor['digest']}").content for descriptor in wrong
    ] == right
    assert server.command("verify").returncode == 0
    server.stop()
