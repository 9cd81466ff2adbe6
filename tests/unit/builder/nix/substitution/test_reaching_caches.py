"""Binary caches behind proxies, passwords, private certificates and redirects."""

import asyncio
import base64
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.builder.images.contents.file_tree import FileTree
from app.builder.images.contents.reading import read_file, read_file_tree
from app.builder.images.image import Layer
from app.builder.nix.programs.cache_configuration import parse_configuration
from app.builder.nix.programs.configuration import NixConfiguration
from app.errors import DownloadFailed
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.nix.substitution.test_faults import CONTENTS, REFERENCES, flipped, packed
from tests.unit.builder.nix.substitution.world import World, fill, opened


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return fill(tmp_path / "cache", CONTENTS, REFERENCES)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def pull(world: World) -> list[Layer]:
    with opened(world):
        return await packed(world, MemoryStorage(), A)


async def test_everything_comes_through_the_proxy(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Channel(directory)
    world = World(tmp_path, [proxy])
    with opened(world):
        monkeypatch.setenv("http_proxy", proxy.url)
        world.caches.urls = ["http://cache.invalid"]
        assert len(await packed(world, MemoryStorage(), A)) == len(CONTENTS)
    assert all(path.startswith("http://cache.invalid/") for path in proxy.requests)
    assert any("/nar/" in path for path in proxy.requests)


async def test_a_failure_keeps_the_password_of_the_proxy(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages of libcurl contain the whole address of a proxy that cannot be used."""
    monkeypatch.setenv("http_proxy", "ftp://me:hidden@127.0.0.1:1")

    with pytest.raises(DownloadFailed, match="proxy") as caught:
        await pull(World(tmp_path, [Channel(directory)]))

    assert "hidden" not in str(caught.value)


async def test_a_proxy_that_wants_a_password_is_the_cause(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Channel(directory)
    proxy.fail("", 407)
    with opened(World(tmp_path, [proxy])) as world:
        monkeypatch.setenv("http_proxy", proxy.url)
        world.caches.urls = ["http://cache.invalid"]
        with pytest.raises(DownloadFailed, match="the proxy responded with 407"):
            await world.find(A)


async def test_hosts_of_no_proxy_are_reached_directly(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")

    assert len(await pull(World(tmp_path, [Channel(directory)]))) == len(CONTENTS)


async def test_the_password_is_that_of_netrc(tmp_path: Path, directory: Path) -> None:
    token = base64.b64encode(b"me:secret").decode()
    cache = Channel(directory, authorization=f"Basic {token}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")

    assert len(await pull(World(tmp_path, [cache], netrc=str(netrc)))) == len(CONTENTS)


@pytest.mark.parametrize("text", ["", "machine 127.0.0.1 login me password wrong\n"])
async def test_a_missing_or_wrong_password_is_named(
    tmp_path: Path, directory: Path, text: str
) -> None:
    cache = Channel(directory, authorization="Basic other")
    netrc = tmp_path / "netrc"
    netrc.write_text(text)

    with pytest.raises(
        DownloadFailed, match="responded with 401, no netrc file has its password or"
    ):
        await pull(World(tmp_path, [cache], netrc=str(netrc)))


async def test_a_redirect_of_the_host_of_channels_is_followed(
    tmp_path: Path, directory: Path
) -> None:
    """The host of nixpkgs' channels redirects ``/nixos-unstable/...``."""
    (directory / "releases" / "nixos-unstable").mkdir(parents=True)
    (directory / "releases" / "nixos-unstable" / "1").symlink_to(directory)
    channel = Channel(directory)
    world = World(tmp_path, [channel])
    with opened(world):
        world.caches.urls = [f"{channel.url}/nixos-unstable"]
        assert len(await packed(world, MemoryStorage(), A)) == len(CONTENTS)
    assert any(path.startswith("/releases/nixos-unstable/1/nar/") for path in channel.requests)


def certify(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's side of TLS, and the file with its only authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Team CA")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = directory / "ca.crt", directory / "key.pem"
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority


async def test_a_private_authority_is_trusted_where_it_is_named(
    tmp_path: Path, directory: Path
) -> None:
    context, authority = certify(tmp_path)
    trusting = World(tmp_path, [Channel(directory, tls=context)], certificates=str(authority))

    assert len(await pull(trusting)) == len(CONTENTS)
    with pytest.raises(DownloadFailed, match=r"https://127.0.0.1:.* failed to send .*certificate"):
        await pull(World(tmp_path, [Channel(directory, tls=context)]))


async def test_a_proxy_behind_tls_is_trusted_as_caches_are(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certify(tmp_path)
    proxy = Channel(directory, tls=context)
    with opened(World(tmp_path, [proxy], certificates=str(authority))) as world:
        monkeypatch.setenv("http_proxy", proxy.url)
        world.caches.urls = ["http://cache.invalid"]

        assert len(await packed(world, MemoryStorage(), A)) == len(CONTENTS)


@pytest.mark.parametrize(
    ("document", "environment", "expected"),
    [
        ({}, {}, ""),
        ({}, {"SSL_CERT_FILE": "/b"}, "/b"),
        ({}, {"NIX_SSL_CERT_FILE": "/a", "SSL_CERT_FILE": "/b"}, "/a"),
        ({"ssl-cert-file": {"value": "/c"}}, {"NIX_SSL_CERT_FILE": "/a"}, "/c"),
    ],
)
def test_the_authorities_are_those_of_nix(
    tmp_path: Path,
    document: dict[str, object],
    environment: dict[str, str],
    expected: str,
) -> None:
    """Nix 2.8 has no setting and reads the environment; later ones show both in the setting."""
    configuration = NixConfiguration(
        environment=environment, directory=tmp_path, workers=Workers(1)
    )

    found = parse_configuration(document, configuration.certificates)

    assert found.certificates == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wrong bytes", "cut"])
@pytest.mark.parametrize("others", [1, 2])
async def test_another_cache_takes_over_after_the_first_byte(
    tmp_path: Path, directory: Path, kind: str, others: int
) -> None:
    """Without FileHash wrong bytes are noticed when all of them have been read."""
    wanted = await pull(World(tmp_path, [Channel(directory)]))
    for file in directory.glob("*.narinfo"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("File")))
    caches = [Channel(directory, ranges=False) for _ in range(others)]
    for cache in caches:
        cache.fail("/nar/", flipped if kind == "wrong bytes" else "cut")
    last = Channel(fill(tmp_path / "last", CONTENTS, REFERENCES, compression="xz"))
    world = World(tmp_path, [*caches, last])

    with opened(world):
        assert await packed(world, MemoryStorage(), A) == wanted
        assert world.left_over == []
    assert sum("/nar/" in path for path in last.requests) == len(CONTENTS)


async def read(world: World) -> tuple[FileTree, bytes]:
    with opened(world):
        await world.find(A)
        tree = await asyncio.to_thread(read_file_tree, A, world.store, [A, B])
        await world.find(A)  # from the first cache again
        return tree, await asyncio.to_thread(read_file, A, b"bin/x", world.store, most=1 << 20)


async def test_names_and_files_are_read_from_another_cache_too(
    tmp_path: Path, directory: Path
) -> None:
    """As when the links of a path that was packed before are made."""
    for file in directory.glob("*.narinfo"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("File")))
    failing = Channel(directory)
    failing.fail("/nar/", flipped)
    last = Channel(fill(tmp_path / "last", CONTENTS, REFERENCES))

    assert await read(World(tmp_path, [failing, last])) == await read(World(tmp_path, [last]))
