"""Hosts of package sources on the loopback: ssh with keys, https with a private authority.

Behind those of repositories is git itself.  The ssh host hands no variables to it, as OpenSSH's does unless
configured otherwise, so that git speaks the first version of its protocol there, and the second
over https.
"""

import asyncio
import base64
import http.server
import os
import shlex
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.e2e.process import succeed
from tests.ownership import current_owner, start_process

_GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


# ---- ssh


def new_key(path: Path) -> asyncssh.SSHKey:
    """A key pair; the private half is written to the path, as ssh-keygen does."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key


def known_hosts(path: Path, port: int, key: asyncssh.SSHKey) -> Path:
    path.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
    return path


@contextmanager
def ssh_host(root: Path, *, host_key: asyncssh.SSHKey, client: asyncssh.SSHKey) -> Iterator[int]:
    """Serve the repositories below ``root`` to holders of the client's key; yield the port."""
    port: Future[int] = Future()
    stop = asyncio.Event()
    owner = current_owner()

    async def serve(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        program, path = shlex.split(process.command or "")
        assert program == "git-upload-pack", process.command
        upload = start_process(
            ["git", "upload-pack", str(root / path.lstrip("/"))],
            owner,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_GIT_ENVIRONMENT,
        )
        await process.redirect(upload.stdin, upload.stdout, upload.stderr)
        await process.stdout.drain()
        await process.stderr.drain()
        process.exit(await asyncio.to_thread(upload.wait))
        await process.wait_closed()

    async def listen() -> None:
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(
                client.export_public_key().decode()
            ),
            process_factory=serve,
            encoding=None,
        )
        async with acceptor:
            port.set_result(acceptor.get_port())
            await stop.wait()

    with ThreadPoolExecutor(1) as thread, asyncio.Runner() as runner:
        done = thread.submit(runner.run, listen())
        try:
            yield port.result(300)
        finally:
            runner.get_loop().call_soon_threadsafe(stop.set)
            done.result(300)


# ---- https


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs certificates, and one it signed for 127.0.0.1 and localhost."""

    ca: Path
    certificate: Path
    key: Path


def new_authority(directory: Path) -> Authority:
    directory.mkdir()
    ca, ca_key = directory / "ca.crt", directory / "ca.key"
    made = Authority(ca, directory / "host.crt", directory / "host.key")
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    succeed(*new, "-subj", "/CN=Private CA", "-keyout", str(ca_key), "-out", str(ca))
    succeed(
        *new, "-subj", "/CN=host", "-CA", str(ca), "-CAkey", str(ca_key),
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", str(made.key), "-out", str(made.certificate),
    )  # fmt: skip
    return made


@contextmanager
def https_host(root: Path, *, authority: Authority, user: str, password: str) -> Iterator[int]:
    """Serve the repositories below ``root`` to holders of the password; yield the port."""
    handler = type("Handler", (_GitHttp,), {"root": root, "login": f"{user}:{password}"})
    with _https(handler, authority) as port:
        yield port


@contextmanager
def https_files(root: Path, *, authority: Authority) -> Iterator[int]:
    """The files below ``root`` for everybody; gives the port."""
    with _https(type("Handler", (_Files,), {"root": root}), authority) as port:
        yield port


@contextmanager
def _https(
    handler: type[http.server.BaseHTTPRequestHandler], authority: Authority
) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    server = _Server(("127.0.0.1", 0), handler)
    # Shaking hands is left to the thread that serves: a client that hangs up then ends that alone.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up, which is not an error of the host."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Files(http.server.SimpleHTTPRequestHandler):
    root: Path

    def translate_path(self, path: str) -> str:
        return str(self.root / path.lstrip("/"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


class _GitHttp(http.server.BaseHTTPRequestHandler):
    """Git's own HTTP backend behind a password."""

    root: Path
    login: str

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def _serve(self, body: bytes) -> None:
        expected = base64.b64encode(self.login.encode()).decode()
        if self.headers.get("Authorization", "") != f"Basic {expected}":
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={
                **_GIT_ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": self.login.partition(":")[0],
            },
            capture_output=True,
            check=True,
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._answer(int(fields.pop("Status", "200").split()[0]), fields, answer)

    def _answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
