"""What the programs of a real server find in their environment."""

import http.server
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.binary_cache import BinaryCache, serving
from tests.e2e.process import SYSTEM_PATH, program, succeed
from tests.e2e.server import ServerFactory
from tests.serving import serving as serving_host
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

TOKEN = "ghp_0123456789abcdefghij"
CONFIG = (
    f"access-tokens = github.com={TOKEN}\nwarn-dirty = false\n"
    "extra-substituters = http://joe:hunter2@127.0.0.1:9\n"
)
STRANGE = """{ system, ... }: {
  fine = derivation {
    name = "strange"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
  };
}
"""
# The hash is that of a directory with a file "clean", so one with "leaked" fails.
LOOKING = """{{ system, ... }}: {{
  looking = derivation {{
    name = "{name}"; inherit system; builder = "/bin/sh";
    args = [ "-c" ''
      found=clean
      case "$NIX_CONFIG $HTTPS_PROXY $http_proxy" in *hunter2*) found=leaked ;; esac
      /bin/mkdir $out; echo > $out/$found
    '' ];
    outputHashMode = "recursive"; outputHash = "{hash}";
    impureEnvVars = [ "NIX_CONFIG" {variables} ];
  }};
}}
"""


def writing_environments(directory: Path) -> Path:
    """Programs that write down what they see, then become the real ones."""
    directory.mkdir()
    for name in ("nix", "nix-instantiate", "nix-store", "git"):
        script = directory / name
        script.write_text(
            f'#!/bin/sh\nenv > {directory}/$$.{name}.env; echo "$*" > {directory}/$$.{name}.args\n'
            f'cat "$XDG_CONFIG_HOME/nix/nix.conf" > {directory}/$$.{name}.conf 2>&-\n'
            f'exec {program(name)} "$@"\n'
        )
        script.chmod(0o755)
    return directory


def seen(directory: Path, program: str, argument: str = "", *, kind: str = "env") -> list[str]:
    """Return the environments of a program's starts whose arguments hold a text.

    The kind "conf" returns the settings that each read from a file.
    """
    return [
        file.with_suffix(f".{kind}").read_text()
        for file in directory.glob(f"*.{program}.args")
        if argument in file.read_text()
    ]


def test_tokens_are_where_a_trusted_source_is_evaluated_and_nowhere_else(
    packages: Path, tmp_path: Path, new_server: ServerFactory
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit(STRANGE)
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "strange"\nkind = "git"\nlocation = "{repository.path}"\n'
        "trusted = false\nbuild = false\nsubstituters = []\n"
    )
    programs = writing_environments(tmp_path / "programs")
    server = new_server(
        packages,
        NIXERY_CONFIG=str(settings),
        PATH=f"{programs}:{SYSTEM_PATH}",
        NIX_CONFIG=CONFIG,
        GOOGLE_APPLICATION_CREDENTIALS="/run/secrets/google.json",
        GITHUB_TOKEN=TOKEN,
        HTTPS_PROXY="http://joe:hunter2@localhost:9",
        NO_PROXY="localhost",
    )

    assert server.digest("hello")
    assert server.get("/v2/strange/fine/manifests/latest").status_code in {403, 404}

    trusted, untrusted = (
        seen(programs, "nix", "repl"),
        seen(programs, "nix-instantiate", "restrict"),
    )
    store, git = seen(programs, "nix-store"), seen(programs, "git")
    assert all((trusted, untrusted, store, git))
    for settings_of_trusted in seen(programs, "nix", "repl", kind="conf"):
        assert settings_of_trusted.startswith(CONFIG)
    for settings_of_store in seen(programs, "nix-store", kind="conf"):
        assert TOKEN not in settings_of_store
        assert settings_of_store.startswith("warn-dirty = false\nextra-substituters = http://joe")
    for settings_of_untrusted in seen(programs, "nix-instantiate", "restrict", kind="conf"):
        assert settings_of_untrusted == "warn-dirty = false\n"
    for environment in untrusted:
        assert "hunter2" not in environment
    for environment in git:
        assert "NIX_" not in environment
        assert "HTTPS_PROXY=http://joe:hunter2@localhost:9" in environment
    for environment in (file.read_text() for file in programs.glob("*.env")):
        assert TOKEN not in environment
        assert "NIX_CONFIG" not in environment
        assert "google.json" not in environment
        assert "GITHUB_TOKEN" not in environment
    for arguments in (file.read_text() for file in programs.glob("*.args")):
        assert TOKEN not in arguments
        assert "hunter2" not in arguments


@pytest.fixture
def empty_cache(tmp_path: Path) -> Iterator[BinaryCache]:
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    with serving(BinaryCache(directory)) as cache:
        yield cache


@pytest.mark.parametrize("trusted", ["true", "false"])
def test_a_builder_cannot_read_passwords(
    packages: Path,
    tmp_path: Path,
    new_server: ServerFactory,
    empty_cache: BinaryCache,
    trusted: str,
) -> None:
    """A trusted source may read the proxy, through which its builders download."""
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "clean").write_text("\n")
    expected = succeed(program("nix-hash"), "--type", "sha256", "--base32", str(clean)).strip()
    package_set = tmp_path / "looking.nix"
    package_set.write_text(
        LOOKING.format(
            name=f"looking-{uuid.uuid4().hex}",
            hash=f"sha256:{expected}",
            variables="" if trusted == "true" else '"HTTPS_PROXY" "http_proxy"',
        )
    )
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "looking"\nkind = "path"\nlocation = "{package_set}"\n'
        f"trusted = {trusted}\nbuild_unsandboxed = true\n"
        f'substituters = ["http://joe:hunter2@127.0.0.1:{empty_cache.port}"]\n'
    )
    server = new_server(
        packages,
        NIXERY_CONFIG=str(settings),
        NIX_CONFIG=CONFIG,
        HTTPS_PROXY="http://joe:hunter2@localhost:9",
        http_proxy="",
    )

    response = server.get("/v2/looking/looking/manifests/latest")

    assert empty_cache.requests
    assert response.status_code == 200, response.text
    assert "hunter2" not in server.complete_log()


class _Private(http.server.BaseHTTPRequestHandler):
    """Requires a password, and lists those that were sent."""

    passwords: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        password = self.headers.get("Authorization", "")
        self.passwords.append(password)
        self.send_response(200 if password else 401)
        if not password:
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"private\n")


DOWNLOADING = """{{ ... }}: {{
  downloading = derivation {{
    name = "{name}"; system = "builtin"; builder = "builtin:fetchurl";
    url = "http://127.0.0.1:{port}/file"; executable = false; unpack = false;
    outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "{hash}";
  }};
}}
"""


@pytest.mark.parametrize("trusted", ["true", "false"])
def test_builders_of_an_untrusted_source_do_not_download_with_passwords_of_netrc(
    packages: Path, tmp_path: Path, new_server: ServerFactory, trusted: str
) -> None:
    """Nix's error would name the hash of a private file, and with the hash an image gets it."""
    passwords: list[str] = []
    handler = type("Handler", (_Private,), {"passwords": passwords})
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login joe password hunter2\n")
    with serving_host(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as host:
        package_set = tmp_path / "downloading.nix"
        name, hash_of_another = f"downloading-{uuid.uuid4().hex}", "0" * 64
        package_set.write_text(
            DOWNLOADING.format(name=name, port=host.server_port, hash=hash_of_another)
        )
        settings = tmp_path / "nixery.toml"
        settings.write_text(
            f'[[sources]]\nname = "strange"\nkind = "path"\nlocation = "{package_set}"\n'
            f"trusted = {trusted}\nbuild_unsandboxed = true\nsubstituters = []\n"
        )
        server = new_server(
            packages, NIXERY_CONFIG=str(settings), NIX_CONFIG=f"netrc-file = {netrc}"
        )

        response = server.get("/v2/strange/downloading/manifests/latest")

    assert response.status_code == 403, response.text
    assert ("hash mismatch" in response.text) == (trusted == "true")
    assert any(passwords) == (trusted == "true")
    assert passwords
