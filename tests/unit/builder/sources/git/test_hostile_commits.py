"""Commits that choose how git writes their files, or that take memory, time or names of the server."""

import hashlib
import struct
import subprocess
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git import command as gitcommand
from app.builder.sources.git import files as gitfiles
from app.builder.sources.git.git import GitUpstream
from app.errors import Refused, SourceUnavailable
from tests.serving import serving
from tests.unit.builder.sources.git.repository import Repository, upstream

pytestmark = pytest.mark.slow

CONTENT = b"one\ntwo $Id$ $Format:%H$ \xc3\xa4\n"
BASE = bytes(1 << 20)


async def files_of(source: GitUpstream, commit: str) -> dict[str, bytes]:
    async with source.checkout(await source.find(commit)) as package_set:
        root = Path(package_set.reference)
        return {file.name: file.read_bytes() for file in root.iterdir() if file.is_file()}


def write(repository: Repository, kind: str, data: bytes) -> str:
    """Write an object that git would not create, and return its name."""
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    done = subprocess.run(command, cwd=repository.path, input=data, check=True, capture_output=True)
    return done.stdout.decode().strip()


def commit_of(repository: Repository, *entries: tuple[bytes, str]) -> str:
    """Return a commit with these entries: mode and name, and an object."""
    rows = (entry + b"\0" + bytes.fromhex(name) for entry, name in entries)
    tree = write(repository, "tree", b"".join(rows))
    return repository.git("commit-tree", tree, "-m", "odd")


@pytest.mark.parametrize(
    "attributes",
    [
        "text eol=crlf",
        "crlf=input eol=crlf",
        "ident",
        "working-tree-encoding=UTF-16",
        "working-tree-encoding",
        "export-subst export-ignore",
        "filter=lfs diff=lfs merge=lfs -text",
    ],
)
async def test_attributes_of_a_commit_do_not_change_its_files(
    repository: Repository, source: GitUpstream, attributes: str
) -> None:
    (repository.path / "default.nix").write_bytes(CONTENT)
    repository.git("add", "default.nix")
    blob = repository.git("rev-parse", ":default.nix")
    rules = write(repository, "blob", f"* {attributes}\n".encode())
    entries = ((b"100644 .gitattributes", rules), (b"100644 default.nix", blob))
    commit = commit_of(repository, *entries)

    assert (await files_of(source, commit))["default.nix"] == CONTENT


async def test_repository_of_an_earlier_version_converts_no_files_either(
    repository: Repository, source: GitUpstream, tmp_path: Path
) -> None:
    repository.commit("1")
    await files_of(source, "latest")
    for file in (tmp_path / "state" / "git").glob("*/info/attributes"):
        file.unlink()
    (repository.path / ".gitattributes").write_text("* text eol=crlf\n")
    commit = repository.commit("a\nb\n")

    assert (await files_of(source, commit))["default.nix"] == b"a\nb\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"100644 default.nix", b"100644 default.nix"),
        (b"120000 default.nix", b"40000 default.nix"),
    ],
)
async def test_commit_whose_files_are_not_those_of_its_list_is_refused(
    repository: Repository, source: GitUpstream, first: bytes, second: bytes
) -> None:
    blobs = [write(repository, "blob", text) for text in (b"1", b"2")]
    below = write(repository, "tree", b"100644 x\0" + bytes.fromhex(blobs[1]))
    last = below if second.startswith(b"40000") else blobs[1]
    commit = commit_of(repository, (first, blobs[0]), (second, last))

    with pytest.raises(Refused, match="cannot be unpacked: some have the same name"):
        await files_of(source, commit)


async def test_commit_with_too_many_empty_directories_is_refused(
    repository: Repository, source: GitUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitfiles, "_LISTING", 1024 * 1024)
    tree = write(repository, "tree", b"")
    for _ in range(10):
        tree = repository.tree(*(f"040000 tree {tree}\tdirectory-{n}" for n in range(10)))
    commit = repository.git("commit-tree", tree, "-m", "no files in 10 000 000 000 directories")

    with pytest.raises(Refused, match="cannot be unpacked: there are too many"):
        await files_of(source, commit)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('[submodule "a"]\npath = "a\x1b[31mb\\nc"\n', ("ab c",)),
        ("".join(f'[submodule "{n}"]\npath = {n}\n' for n in range(9)), tuple("01234567")),
        (f'[submodule "a"]\npath = {"a" * 2**21}\n', ()),
    ],
)
async def test_names_of_submodules_are_few_short_and_one_line(
    repository: Repository, source: GitUpstream, text: str, shown: tuple[str, ...]
) -> None:
    blob = write(repository, "blob", text.encode())
    commit = commit_of(repository, (b"100644 .gitmodules", blob))

    async with source.checkout(await source.find(commit)) as package_set:
        assert package_set.submodules == shown


async def test_pack_that_takes_too_much_memory_is_an_error_of_its_host(
    repository: Repository, source: GitUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 256 MB that a pack of two kilobytes makes from another one."""
    monkeypatch.setattr(gitcommand, "_MEMORY", 128 * 1024**2)
    repository.commit("1")
    base = hashlib.sha1(b"blob %d\0" % len(BASE) + BASE, usedforsecurity=False)
    pack, large = _pack(base.digest(), copies=256)
    command = ["git", "index-pack", "--stdin"]
    subprocess.run(command, cwd=repository.path, input=pack, check=True, capture_output=True)
    commit = commit_of(repository, (b"100644 a", base.hexdigest()), (b"100644 b", large))

    with pytest.raises(SourceUnavailable, match="it is too large, or memory is short"):
        await source.find(commit)


async def test_compressed_list_of_refs_that_takes_too_much_memory_is_an_error_of_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that sends one line of 512 MB, which git would keep."""
    monkeypatch.setattr(gitcommand, "_LISTING_MEMORY", 64 * 1024**2)
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(compress.compress(bytes(1 << 20)) for _ in range(512)) + compress.flush()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        location = f"http://127.0.0.1:{server.server_port}/r.git"
        source = upstream(GitDefinition(name="set", location=location), tmp_path / "state")
        with pytest.raises(SourceUnavailable, match="it is too large, or memory is short"):
            await source.find("latest")


def _pack(base: bytes, *, copies: int) -> tuple[bytes, str]:
    """Return a pack of ``BASE`` and of a file that repeats it, and the name of that file."""
    copy = b"\xe0" + len(BASE).to_bytes(3, "little")[1:]  # from the start of the base
    delta = _size(len(BASE)) + _size(len(BASE) * copies) + copy * copies
    objects = (
        _head(3, len(BASE)) + zlib.compress(BASE),
        _head(7, len(delta)) + base + zlib.compress(delta),
    )
    body = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    pack = body + hashlib.sha1(body, usedforsecurity=False).digest()
    name = hashlib.sha1(b"blob %d\0" % (len(BASE) * copies), usedforsecurity=False)
    for _ in range(copies):
        name.update(BASE)
    return pack, name.hexdigest()


def _size(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _head(kind: int, size: int) -> bytes:
    first = kind << 4 | size & 15
    rest = size >> 4
    return bytes([first | 0x80]) + _size(rest) if rest else bytes([first])
