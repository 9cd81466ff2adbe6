"""Docker's own registry, from Debian, with and without passwords."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.ports import free_port
from tests.e2e.process import Process

# joe with the password hunter2.
_PASSWORDS = "joe:$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n"
_CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {home}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def serving_docker_registry(home: Path, *, password: bool = False) -> Iterator[str]:
    """Yield HOST:PORT."""
    home.mkdir()
    port = free_port()
    text = _CONFIGURATION.format(home=home, port=port)
    if password:
        (home / "passwords").write_text(_PASSWORDS)
        text += f"auth: {{htpasswd: {{realm: r, path: {home}/passwords}}}}\n"
    (home / "config.yml").write_text(text)
    process = Process(("docker-registry", "serve", str(home / "config.yml")), log=home / "log")
    try:
        process.wait_until(lambda: _responds(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.stop()


def _responds(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=300).status_code in {200, 401}
    except httpx.HTTPError:
        return False
