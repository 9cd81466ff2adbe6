"""Storage that is changed by hand under a running server: each next pull is whole, without a restart."""

import hashlib
import os
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from app.storage.records.envelope import seal, unseal
from tests.e2e.server import ACCEPT, Server, ServerFactory

pytestmark = pytest.mark.e2e

NAME = "shell/jq"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="module")
def server(packages: Path, module_server: ServerFactory) -> Server:
    """A server that each test starts and stops."""
    server = module_server(packages)
    server.stop()
    return server


def assert_whole(server: Server, name: str = NAME, accept: str = ACCEPT) -> str:
    answer = server.get(f"/v2/{name}/manifests/latest", Accept=accept)
    assert answer.status_code == 200, answer.text + server.log
    digest = answer.headers["Docker-Content-Digest"]
    assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == digest
    manifest = answer.json()
    for blob in (manifest["config"], *manifest["layers"]):
        body = server.get(f"/v2/{name}/blobs/{blob['digest']}").content
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == blob["digest"]
        assert len(body) == blob["size"]
    return str(digest)


def test_a_changed_diff_id_is_caught_and_made_again(server: Server) -> None:
    server.start()
    digest = server.digest(NAME)
    server.stop()
    for kind in ("builds", "layers"):
        shutil.rmtree(server.storage / kind)
    changed = []
    for record in (server.storage / "paths").iterdir():
        body = record.read_bytes()
        at = body.index(b'"diff_id":"sha256:') + len(b'"diff_id":"sha256:')
        record.write_bytes(
            body[:at] + (b"0" if body[at : at + 1] != b"0" else b"1") + body[at + 1 :]
        )
        changed.append(f"paths/{record.name}")

    verified = server.command("verify")

    named = re.findall(
        r"^(\S+): damaged, its checksum does not match", verified.stdout, re.MULTILINE
    )
    assert (verified.returncode, sorted(named)) == (1, sorted(changed))
    server.start()
    assert assert_whole(server) == digest
    assert server.complete_log().count("a stored record is damaged and will be made again") == len(
        changed
    )
    assert server.command("verify").returncode == 0
    server.stop()


@pytest.mark.parametrize("removed", [".staging", "."])
def test_removed_directories_are_made_again(server: Server, removed: str) -> None:
    server.start()
    digest = server.digest(NAME)
    shutil.rmtree(server.storage / removed)

    assert assert_whole(server, "jq") != digest
    for _ in range(2):  # a client that misses a layer has it by its next pull
        server.get(f"/v2/{NAME}/manifests/latest")
        manifest = server.get(f"/v2/{NAME}/manifests/latest").json()
        for blob in (manifest["config"], *manifest["layers"]):
            server.get(f"/v2/{NAME}/blobs/{blob['digest']}")
    assert assert_whole(server) == digest
    assert server.get("/readyz").status_code == 200
    server.stop()


def test_a_deleted_manifest_is_made_again_by_the_pull_that_misses_it(server: Server) -> None:
    server.start()
    digest = server.digest(NAME)
    shutil.rmtree(server.storage / "manifests")

    docker = assert_whole(server, accept=DOCKER)

    assert docker != digest
    assert assert_whole(server) == digest
    server.stop()


@pytest.mark.parametrize(
    "kind", ["attributes", "builds", "closures", "listings", "paths", "blobs/sha256"]
)
@pytest.mark.parametrize("instead", ["a directory", "a link", "a device"])
def test_what_is_not_a_file_is_made_again(server: Server, kind: str, instead: str) -> None:
    server.start()
    digest = server.digest(NAME)
    server.stop()
    for record in tuple((server.storage / kind).iterdir()):
        shutil.rmtree(record) if record.is_dir() else record.unlink()
        match instead:
            case "a directory":
                record.mkdir()
                (record / "file").write_bytes(b"")
            case "a link":
                record.symlink_to("/etc/hostname")
            case _:
                os.mknod(record, 0o20666, os.makedev(1, 5))
    if kind != "builds":
        shutil.rmtree(server.storage / "builds")

    server.start()
    assert assert_whole(server) == digest
    server.stop()


def to_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def to_link_to_pipe(file: Path) -> None:
    pipe = file.with_name(f".{file.name}")
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    file.unlink()
    file.symlink_to(pipe.name)


def to_holes(file: Path) -> None:
    os.truncate(file, 1 << 42)


def to_nested_lists(file: Path) -> None:
    file.write_bytes(b"[" * 1_000_000)


def to_the_future(file: Path) -> None:
    os.utime(file, (2**60, 2**60))  # the latest time that the file system has


def to_a_later_format(file: Path) -> None:
    """A record as a later version writes it; other files stay."""
    body = file.read_bytes()
    try:
        head = unseal(body).head
    except ValueError:
        return
    file.write_bytes(seal(replace(head, format=head.format + 1), b'{"later":[]}'))


def to_the_next_record(file: Path) -> None:
    """The bytes of the next file, under this file's name."""
    files = sorted(one for one in file.parent.iterdir() if one.is_file())
    file.write_bytes(files[(files.index(file) + 1) % len(files)].read_bytes())


def to_socket(file: Path) -> None:
    file.unlink()
    os.mknod(file, 0o600 | stat.S_IFSOCK)


CHANGES = (
    to_socket,
    to_link_to_pipe,
    to_holes,
    to_nested_lists,
    to_the_future,
    to_a_later_format,
    to_the_next_record,
    to_pipe,
)


def test_changes_of_every_file_delay_no_pull(server: Server) -> None:
    server.start()
    digest = server.digest(NAME)
    for change in CHANGES:
        # What the server writes in its staging directory may be gone in a moment.
        for file in tuple(server.storage.glob("[!.]*/**/*")):
            if file.is_file() and not file.is_symlink():
                change(file)
        if change is CHANGES[-1]:
            server.stop()
            server.start()

        assert server.digest(NAME) == digest, change
        # A client that misses a blob has it by its next pull.
        manifest = server.get(f"/v2/{NAME}/manifests/latest").json()
        for blob in (manifest["config"], *manifest["layers"]):
            server.get(f"/v2/{NAME}/blobs/{blob['digest']}")
        assert server.digest(NAME) == digest, change
        assert assert_whole(server) == digest, change
    server.stop()
