"""A real nginx in front, which ends TLS with a certificate that no authority signed."""

import ssl
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.oci import Digest
from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo, pull
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.ports import free_port
from tests.e2e.process import Process, succeed
from tests.e2e.server import ROOT, Server, ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy with TLS in front of a server.

    ``certificates`` is a directory as skopeo and podman need it: with a ca.crt.
    """

    address: str
    certificates: Path
    server: Server

    @property
    def ca(self) -> Path:
        return self.certificates / "ca.crt"

    def get(self, path: str, **headers: str) -> httpx.Response:
        trust = ssl.create_default_context(cafile=self.ca)
        return httpx.get(
            f"https://{self.address}{path}", verify=trust, headers=headers, timeout=300
        )


@pytest.fixture(scope="module")
def proxy(
    salted_packages: Path,
    module_server: ServerFactory,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    server = module_server(salted_packages, NIXERY_REDIRECT_SECONDS="0.3")
    home = tmp_path_factory.mktemp("nginx")
    make_certificate(home)
    port = free_port()
    (home / "nginx.conf").write_text(configuration(home))
    (home / "nixery.conf").write_text(recommended(home, port, server.address))
    proxy = Proxy(f"localhost:{port}", home / "certificates", server)
    with Process(
        ["nginx", "-e", "stderr", "-c", str(home / "nginx.conf"), "-g", "daemon off;"],
        log=home / "log",
    ) as nginx:
        nginx.wait_until(lambda: answers(proxy))
        yield proxy


def recommended(home: Path, port: int, upstream: str) -> str:
    """Return the configuration for operators, with the addresses and files of this test."""
    text = (ROOT / "deploy" / "nginx" / "nixery.conf").read_text()
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/registry.example.org/fullchain.pem": f"{home}/certificates/ca.crt",
        "/etc/ssl/registry.example.org/key.pem": f"{home}/key.pem",
        "http://127.0.0.1:8080;": f"http://{upstream.replace('localhost', '127.0.0.1')};",
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


def configuration(home: Path) -> str:
    return textwrap.dedent(f"""\
        pid {home}/pid;
        events {{}}
        http {{
          access_log {home}/access;
          client_body_temp_path {home}/body;
          fastcgi_temp_path {home}/fastcgi;
          proxy_temp_path {home}/proxy;
          scgi_temp_path {home}/scgi;
          uwsgi_temp_path {home}/uwsgi;
          include {home}/nixery.conf;
        }}
    """)


def hosts_directory(proxy: Proxy) -> Path:
    """Return containerd's configuration of a host with its certificate.

    Without one containerd uses plain HTTP to localhost.
    """
    directory = proxy.certificates / "hosts" / proxy.address
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.toml").write_text(
        f'server = "https://{proxy.address}"\n[host."https://{proxy.address}"]\n'
        f'capabilities = ["pull", "resolve"]\nca = "{proxy.ca}"\n'
    )
    return directory.parent


def make_certificate(home: Path) -> None:
    (home / "certificates").mkdir()
    succeed(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", str(home / "key.pem"), "-out", str(home / "certificates" / "ca.crt"),
    )  # fmt: skip


def answers(proxy: Proxy) -> bool:
    try:
        return proxy.get("/healthz").is_success
    except httpx.TransportError:
        return False


def test_every_client_pulls_a_slow_build_through_tls(
    proxy: Proxy,
    *,
    held_build: HeldBuild,
    skopeo: Skopeo,
    containerd: Containerd,
    docker: Docker,
    podman: Podman,
) -> None:
    image = f"{proxy.address}/coreutils/{held_build.package}:latest"
    # Docker takes certificates from /etc only, and takes any for localhost.
    verified: dict[Client, tuple[str, ...]] = {
        skopeo: ("--src-tls-verify=true", f"--src-cert-dir={proxy.certificates}"),
        containerd: ("--hosts-dir", str(hosts_directory(proxy))),
        docker: ("--quiet",),
        podman: ("--tls-verify=true", f"--cert-dir={proxy.certificates}"),
    }

    before = proxy.server.redirects()
    with ThreadPoolExecutor(len(verified)) as pool:
        with held_build:
            pulls = [pool.submit(pull, c, image, *options) for c, options in verified.items()]
            wait_until(
                lambda: (
                    proxy.server.redirects() >= before + 4 * len(pulls)
                    or any(pulled.done() for pulled in pulls)
                )
            )
        for pulled in pulls:
            pulled.result()

    for client in verified:
        assert client.run(image, "cat", "/held") == held_build.contents


def test_redirects_name_no_host_and_no_scheme(proxy: Proxy, held_build: HeldBuild) -> None:
    answer = proxy.get(f"/v2/{held_build.package}/manifests/latest")

    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(("?", "/"))
    assert answer.headers["Cache-Control"] == "no-store"


def test_responses_pass_the_proxy_unchanged(proxy: Proxy) -> None:
    path = "/v2/coreutils/manifests/latest"
    direct = proxy.server.get(path)

    passed = proxy.get(path, Accept=direct.request.headers["Accept"])

    assert passed.content == direct.content
    kept = ("Docker-Content-Digest", "Content-Type", "Content-Length", "ETag")
    assert {k: passed.headers[k] for k in kept} == {k: direct.headers[k] for k in kept}


def test_pages_are_named_as_the_proxy_is_reached(proxy: Proxy) -> None:
    while (answer := proxy.get("/v2/broken-build/manifests/latest")).status_code == 307:
        pass

    [error] = answer.json()["errors"]
    address, _, page = (
        error["message"].rpartition("(see ")[2].removesuffix(")").partition("/builds/")
    )
    assert address == f"https://{proxy.address}"
    assert proxy.get(f"/builds/{page}").json()["image"] == "broken-build:latest"


def test_blobs_and_their_ranges_pass_the_proxy_unchanged(proxy: Proxy) -> None:
    while (manifest := proxy.get("/v2/coreutils/manifests/latest")).status_code == 307:
        pass
    layer = max(manifest.json()["layers"], key=lambda layer: layer["size"])
    path = f"/v2/coreutils/blobs/{layer['digest']}"

    whole = proxy.get(path, **{"Accept-Encoding": "gzip"})
    part = proxy.get(path, Range="bytes=1000-")

    assert str(Digest.of(whole.content)) == layer["digest"]
    assert whole.headers["Content-Length"] == str(layer["size"])
    assert (part.status_code, part.content) == (206, whole.content[1000:])
    assert proxy.get(path, Range=f"bytes={layer['size']}-").status_code == 416
    assert proxy.get(path, **{"If-None-Match": whole.headers["ETag"]}).status_code == 304
