"""Channels over a server on loopback that imitates a channel host and its archives."""

import bz2
import gzip
import http.server
import io
import lzma
import tarfile
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.builder.sources.channel import ChannelUpstream, new_client
from app.builder.sources.definition import ChannelDefinition, GitDefinition
from app.builder.sources.source import Source
from app.builder.sources.trees import Trees
from app.errors import Refused, SourceUnavailable, TagUnknown
from app.reference import Tag
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.sources.git.repository import Repository, upstream

DATE = datetime(2024, 11, 5, 7, 0, tzinfo=UTC)
OLD, NEW = "0" * 39 + "1", "1234567" + "a" * 33
WORKERS = Workers(2)
MakeSource = Callable[..., ChannelUpstream]


def packed(*members: tuple[tarfile.TarInfo, bytes], comment: str | None = None) -> bytes:
    body = io.BytesIO()
    headers = {} if comment is None else {"comment": comment}
    with tarfile.open(
        fileobj=body, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mtime = int(DATE.timestamp())
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def of_commit(commit: str) -> bytes:
    text = f"# {commit}".encode()
    return packed(
        (member(f"nixpkgs-{commit}", tarfile.DIRTYPE, mode=0o755), b""),
        (member(f"nixpkgs-{commit}/default.nix", size=len(text)), text),
        (member(f"nixpkgs-{commit}/run", mode=0o755), b""),
        (member(f"nixpkgs-{commit}/link", tarfile.SYMTYPE, linkname="run"), b""),
        comment=commit,
    )


class Host:
    """A host of ``files`` by path; a path ending in ``->`` redirects."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.broken = False
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                target = host.redirects.get(self.path)
                body = host.files.get(self.path)
                status = 500 if host.broken else 302 if target else 200 if body else 404
                self.send_response(status)
                if target:
                    self.send_header("Location", target)
                answer = body if status == 200 and body else b""
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    thread = threading.Thread(target=host.server.serve_forever, args=[0.01])
    thread.start()
    for commit in (OLD, NEW):
        host.files[f"/archive/{commit}.tar.gz"] = of_commit(commit)
    host.redirects["/nixos-unstable/git-revision"] = "/release-1/git-revision"
    host.files["/release-1/git-revision"] = NEW.encode()
    host.files["/nixos-23.11/git-revision"] = f"{OLD}\n".encode()
    yield host
    host.server.shutdown()
    thread.join()
    host.server.server_close()


@pytest.fixture
async def make_source(host: Host, tmp_path: Path) -> AsyncIterator[MakeSource]:
    """Return sources with one state directory."""
    async with new_client() as client:

        def make(**fields: object) -> ChannelUpstream:
            archive = f"{host.url}/archive/{{commit}}.tar.gz"
            written = {"name": "nixpkgs", "location": host.url, "archive": archive, **fields}
            return ChannelUpstream(
                definition=ChannelDefinition.model_validate(written),
                http=client,
                trees=Trees(directory=tmp_path / "trees", workers=WORKERS, keep=2),
                directory=tmp_path / "spool",
                workers=WORKERS,
                seconds=20,
            )

        yield make


@pytest.fixture
def source(make_source: MakeSource) -> ChannelUpstream:
    return make_source()


@pytest.mark.slow
async def test_latest_is_the_published_commit(source: ChannelUpstream) -> None:
    revision = await source.find("latest")

    assert revision.identity == f"commit:{NEW}"
    assert revision.date == DATE
    assert revision.moves


async def test_tag_can_select_another_channel(source: ChannelUpstream) -> None:
    assert (await source.find("nixos-23.11")).label == OLD


async def test_full_commit_needs_no_channel(host: Host, source: ChannelUpstream) -> None:
    revision = await source.find(OLD)

    assert (revision.label, revision.moves) == (OLD, False)
    assert host.asked == [f"/archive/{OLD}.tar.gz"]


async def test_abbreviated_commit_is_resolved_by_its_archive(
    host: Host, source: ChannelUpstream
) -> None:
    host.files[f"/archive/{NEW[:9]}.tar.gz"] = of_commit(NEW)

    revision = await source.find(NEW[:9])

    assert (revision.label, revision.moves) == (NEW, False)
    async with source.checkout(revision):
        assert host.asked == [f"/archive/{NEW[:9]}.tar.gz"]


@pytest.mark.parametrize("length", [7, 40])
async def test_channel_can_be_a_commit(host: Host, make_source: MakeSource, length: int) -> None:
    host.files[f"/archive/{NEW[:length]}.tar.gz"] = of_commit(NEW)

    revision = await make_source(channel=NEW[:length]).find("latest")

    assert (revision.label, revision.moves) == (NEW, False)
    assert host.asked == [f"/archive/{NEW[:length]}.tar.gz"]


async def test_archive_of_another_commit_is_rejected(host: Host, source: ChannelUpstream) -> None:
    host.files[f"/archive/{NEW[:9]}.tar.gz"] = of_commit(OLD)

    with pytest.raises(TagUnknown):
        await source.find(NEW[:9])
    host.files[f"/archive/{NEW}.tar.gz"] = of_commit(OLD)
    with pytest.raises(SourceUnavailable, match="the archive has another commit"):
        await source.find(NEW)


@pytest.mark.slow
async def test_checkout_has_the_files_of_the_commit(source: ChannelUpstream) -> None:
    async with source.checkout(await source.find("latest")) as package_set:
        tree = Path(package_set.reference)

        assert (tree / "default.nix").read_text() == f"# {NEW}"
        assert (tree / "run").stat().st_mode & 0o777 == 0o755
        assert (tree / "link").readlink() == Path("run")
        assert tree.name == "source"


@pytest.mark.slow
async def test_archive_is_fetched_once(host: Host, source: ChannelUpstream) -> None:
    for _ in range(3):
        await source.find("latest")

    assert host.asked.count(f"/archive/{NEW}.tar.gz") == 1


@pytest.mark.slow
async def test_trees_of_another_archive_are_not_shared(
    host: Host, source: ChannelUpstream, make_source: MakeSource
) -> None:
    host.files[f"/forks/{NEW}.tar.gz"] = of_commit(NEW)
    forks = make_source(name="forks", archive=f"{host.url}/forks/{{commit}}.tar.gz")
    given = await forks.find(NEW)
    del host.files[f"/archive/{NEW}.tar.gz"]

    with pytest.raises(TagUnknown):
        await source.find(NEW)
    with pytest.raises(TagUnknown):
        async with source.checkout(given):
            pass


@pytest.mark.slow
async def test_trees_of_a_git_source_are_not_shared(
    source: ChannelUpstream, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.commit("a stranger's")
    git = upstream(GitDefinition(name="strangers", location=repository.url), tmp_path)
    given = await git.find(commit)

    async with git.checkout(given):
        with pytest.raises(TagUnknown):
            await source.find(commit)


async def test_sources_with_one_archive_share_a_tree(
    host: Host, source: ChannelUpstream, make_source: MakeSource
) -> None:
    await source.find(NEW)

    await make_source(name="another", trusted=False, location=f"{host.url}/mirror").find(NEW)

    assert host.asked == [f"/archive/{NEW}.tar.gz"]


@pytest.mark.parametrize("tag", ["nixos-99.99", "v1", "Nixos", "..", "0" * 40, "0" * 7])
async def test_missing_channel_is_unknown(source: ChannelUpstream, tag: str) -> None:
    with pytest.raises(TagUnknown, match=r"latest \(nixos-unstable\), channels like nixos-"):
        await source.find(tag)


async def test_failing_host_is_unavailable(host: Host, source: ChannelUpstream) -> None:
    host.broken = True

    with pytest.raises(SourceUnavailable, match="cannot be reached: its response was 500"):
        await source.find("latest")


async def test_last_release_is_served_without_a_network_after_a_restart(
    host: Host, source: ChannelUpstream
) -> None:
    storage = MemoryStorage()
    definition = source._definition
    known = await Source(definition=definition, upstream=source, storage=storage).resolve(
        Tag("latest")
    )
    host.broken = True

    restarted = Source(definition=definition, upstream=source, storage=storage)
    revision = await restarted.resolve(Tag("latest"))

    assert (revision.identity, revision.date) == (known.identity, known.date)
    assert "cannot be resolved now" in revision.warnings[0]
    async with restarted.checkout(revision) as package_set:
        assert (Path(package_set.reference) / "default.nix").exists()


async def test_host_with_an_invalid_commit_is_unavailable(
    host: Host, source: ChannelUpstream
) -> None:
    host.files["/release-1/git-revision"] = b"<html>"

    with pytest.raises(SourceUnavailable, match="publishes no commit"):
        await source.find("latest")


@pytest.mark.slow
@pytest.mark.parametrize("missing", [1, 30, 200, 10_000])
async def test_damaged_archive_leaves_no_files(
    host: Host, source: ChannelUpstream, missing: int
) -> None:
    path = f"/archive/{NEW}.tar.gz"
    whole, host.files[path] = host.files[path], host.files[path][:-missing] or b"x"
    with pytest.raises(SourceUnavailable):
        await source.find("latest")

    host.files[path] = whole

    async with source.checkout(await source.find("latest")) as package_set:
        assert (Path(package_set.reference) / "default.nix").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "members",
    [
        [member("top/../../outside")],
        [member("top/" + "x" * 300)],
        [member("top/link", tarfile.SYMTYPE, linkname="x" * 5000)],
        [member("top/link", tarfile.SYMTYPE)],
        [member("top/file"), member("top/file")],
        [member("top/file"), member("top/file/below")],
        [member("top/file", mtime=1e15)],
        [member("/top/outside")],
        [member("top/link", tarfile.SYMTYPE, linkname="/"), member("top/link/outside")],
        [member("top/link", tarfile.SYMTYPE, linkname="/etc/x"), member("top/link")],
        [member("top/device", tarfile.CHRTYPE)],
        [member("top/hard", tarfile.LNKTYPE, linkname="/etc/passwd")],
    ],
)
async def test_archive_with_invalid_files_is_refused_and_leaves_no_files(
    host: Host, source: ChannelUpstream, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    host.files[f"/archive/{NEW}.tar.gz"] = packed(*((info, b"") for info in members))

    with pytest.raises(Refused, match="the files of source nixpkgs cannot be unpacked: "):
        await source.find(NEW)

    assert list((tmp_path / "trees").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def compressed(compress: Callable[..., io.IOBase], *pieces: bytes) -> bytes:
    body = io.BytesIO()
    with compress(body, "wb") as file:
        for piece in pieces:
            file.write(piece)
    return body.getvalue()


def claiming(size: int, kind: bytes) -> bytes:
    """A member's header without its content."""
    return member("top/claim", kind, size=size).tobuf(tarfile.GNU_FORMAT)


MIB = bytes(1 << 20)
ONE_FILE = (member("top/file").tobuf(), *[MIB] * 8)
LONG_NAME = tarfile.GNUTYPE_LONGNAME
BOMBS = {
    "gzip": (compressed(gzip.open, *ONE_FILE), "more than 4 GiB"),
    "bzip2": (compressed(bz2.open, *ONE_FILE), "more than 4 GiB"),
    "xz": (compressed(lzma.open, *ONE_FILE), "more than 4 GiB"),
    "file": (compressed(gzip.open, claiming(1 << 40, tarfile.REGTYPE)), "more than 4 GiB"),
    "header": (compressed(gzip.open, claiming(1 << 30, tarfile.XHDTYPE)), "header is too large"),
    "name": (compressed(gzip.open, claiming(1 << 30, LONG_NAME)), "header is too large"),
    "negative": (compressed(gzip.open, claiming(-1 << 40, tarfile.REGTYPE)), "damaged archive"),
    "deep": (packed((member("top/" + "d/" * 300 + "x"), b"")), "more than 200 levels"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
async def test_archive_beyond_the_limits_is_refused_and_leaves_no_files(
    host: Host,
    source: ChannelUpstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bomb: str,
) -> None:
    monkeypatch.setattr("app.builder.sources.archive._MOST_UNPACKED", 4 << 20)
    body, message = BOMBS[bomb]
    host.files[f"/archive/{NEW}.tar.gz"] = body

    with pytest.raises((Refused, SourceUnavailable), match=message):
        await source.find(NEW)

    assert list((tmp_path / "trees").iterdir()) == []


async def test_page_with_the_commit_is_read_up_to_a_limit(
    host: Host, source: ChannelUpstream
) -> None:
    host.files["/release-1/git-revision"] = NEW.encode() + b"\n" * (1 << 20)

    with pytest.raises(SourceUnavailable, match="publishes no commit"):
        await source.find("latest")


@pytest.mark.parametrize("place", [-5, -1, 40, 100])
async def test_archive_with_a_wrong_byte_is_unavailable(
    host: Host, source: ChannelUpstream, place: int
) -> None:
    path = f"/archive/{NEW}.tar.gz"
    damaged = bytearray(host.files[path])
    damaged[place] ^= 0xFF
    host.files[path] = bytes(damaged)

    with pytest.raises(SourceUnavailable, match="damaged archive"):
        await source.find(NEW)


async def test_archives_pass_through_the_state_directory(
    source: ChannelUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    assert (await source.find("latest")).label == NEW


def test_archive_url_must_contain_the_commit() -> None:
    with pytest.raises(ValueError, match=r"must contain \{commit\}"):
        ChannelDefinition(name="nixpkgs", archive="https://example.org/x.tar.gz")


@pytest.mark.slow
async def test_cached_tags_are_those_of_the_definition_and_of_earlier_queries(
    host: Host, source: ChannelUpstream
) -> None:
    assert source.cached_tags() == ("nixos-unstable",)

    for tag in ("latest", "nixos-23.11", OLD):
        await source.find(tag)

    assert source.cached_tags() == ("nixos-23.11", "nixos-unstable")
    del host.files["/nixos-23.11/git-revision"]
    with pytest.raises(TagUnknown):
        await source.find("nixos-23.11")
    assert source.cached_tags() == ("nixos-unstable",)
    assert await source.tags() == ("latest", "nixos-unstable")


async def test_patterns_without_wildcards_are_cached_tags(
    make_source: MakeSource,
) -> None:
    refs = ("nixos-2*", "nixpkgs-unstable", OLD, "No.Channel", "sha256-" + "0" * 64)

    source = make_source(channel="nixos-24.05", refs=refs)

    assert source.cached_tags() == (OLD, "nixos-24.05", "nixpkgs-unstable")


@pytest.mark.parametrize("target", ["http://127.0.0.1:99999/", "http://xn--/", "http://[::1"])
async def test_host_that_redirects_to_an_invalid_address_is_unavailable(
    host: Host, source: ChannelUpstream, target: str
) -> None:
    host.redirects["/nixos-unstable/git-revision"] = target

    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        await source.find("latest")


@pytest.mark.parametrize("field", ["location", "archive"])
@pytest.mark.parametrize("address", ["channels.example.org", "https://[::1", "https://a:99999"])
def test_invalid_addresses_are_rejected(field: str, address: str) -> None:
    written = {"name": "nixpkgs", field: f"{address}/{{commit}}"}

    with pytest.raises(ValidationError, match=field):
        ChannelDefinition.model_validate(written)
