"""Certificates that users put in place of the image's are used by every program."""

from pathlib import Path

import pytest

from tests.e2e.clients import Docker, pull
from tests.e2e.process import succeed
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

SERVE = """
import http.server, os, ssl, sys
os.chdir("/tmp/www")
server = http.server.ThreadingHTTPServer(("localhost", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/ca/server.pem", "/ca/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""
# The files that Go's crypto/x509 looks at on Linux; it reads the first that it finds.
GO = """
/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem
/etc/pki/tls/cacert.pem /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/cert.pem
"""
INSIDE = """
set -e
git init -q --bare /tmp/www/repository.git
git -C /tmp/www/repository.git update-server-info
mkfifo /tmp/ready; python3 -c "$SERVE" >/tmp/ready 2>/tmp/log & read -r _ </tmp/ready
url=https://localhost:8443/repository.git
each() {
  curl -sSf $url/HEAD >/dev/null && echo curl
  git ls-remote $url && echo git
  openssl s_client -connect localhost:8443 -verify_return_error </dev/null >/dev/null 2>&1 && echo openssl
  python3 -c "import urllib.request as r; r.urlopen('$url/HEAD')" && echo python
}
each
for file in $GO; do test -e $file || continue; cmp $file /ca/ca.pem && echo go; break; done
unset SSL_CERT_FILE NIX_SSL_CERT_FILE
each
"""
EVERY = ["curl", "git", "openssl", "python"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a private authority and its certificate for localhost."""
    directory = tmp_path_factory.mktemp("authority")
    new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-x509")
    ca, key = directory / "ca.pem", directory / "ca.key"
    # Python 3.13 refuses an authority that does not name what its key is for.
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    succeed(*new, "-subj", "/CN=authority", *usage, "-keyout", str(key), "-out", str(ca))
    succeed(
        *new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", str(ca), "-CAkey", str(key),
        "-keyout", str(directory / "server.key"), "-out", str(directory / "server.pem"),
    )  # fmt: skip
    certs = directory / "etc-ssl-certs"
    certs.mkdir()
    (certs / "ca-certificates.crt").write_bytes(ca.read_bytes())
    return directory


@pytest.mark.parametrize("way", ["mounted file", "mounted directory", "renamed", "copied"])
def test_every_program_trusts_what_replaces_the_certificates(
    server: Server, docker: Docker, authority: Path, way: str
) -> None:
    image = f"{server.address}/shell/git/curl/python3/openssl/diffutils:latest"
    pull(docker, image)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    options = {
        "mounted file": [f"--volume={authority}/ca.pem:{bundle}"],
        "mounted directory": [f"--volume={authority}/etc-ssl-certs:/etc/ssl/certs"],
    }
    first = {
        "renamed": f"cp /ca/ca.pem /tmp/new && mv /tmp/new {bundle}\n",
        "copied": f"cp /ca/ca.pem {bundle}\n",
    }

    output = docker.run_as(
        [f"--volume={authority}:/ca", f"--env=SERVE={SERVE}", f"--env=GO={GO}",
         *options.get(way, [])],
        image, "bash", "-c", first.get(way, "") + INSIDE,
    )  # fmt: skip

    assert output.split() == [*EVERY, "go", *EVERY]
