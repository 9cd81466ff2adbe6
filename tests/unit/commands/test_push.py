"""Failures and passwords of ``nixery push``; tests/contract/test_pushing.py has the pushes."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.commands import cli, push
from app.commands.credentials import Credentials, find_credentials, read_credentials
from app.state import AppState, WaitPolicy
from app.system.retrying import Retries
from tests.api.registry import new_registry
from tests.fakes.registry import IDENTITY, PASSWORD, USER, FakeRegistry, serving_registry

PAIR = b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@asynccontextmanager
async def services() -> AsyncIterator[AppState]:
    yield new_registry(WaitPolicy(redirect_seconds=1, redirects=1, hold_seconds=1)).state


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.setattr(push, "services", services)
    monkeypatch.setattr(push, "_RETRIES", Retries(2, 60, pause_seconds=0))
    monkeypatch.setattr(push, "_AT_ONCE", 1)
    monkeypatch.setattr("app.commands.terminal._LOG_SECONDS", 0)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving_registry() as registry:
        yield registry


def log_in(registry: FakeRegistry, directory: Path, **entry: str) -> None:
    host = registry.url.removeprefix("http://")
    (directory / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def run(registry: FakeRegistry, *options: str) -> int:
    host = registry.url.removeprefix("http://")
    return cli.run(["push", "git", f"{host}/team/git", *options], serve=lambda: None)


def test_result_is_one_line(registry: FakeRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(registry) == 0

    captured = capsys.readouterr()
    assert "/team/git:latest sha256:" in captured.out
    assert "2 blobs with 0.0 MB sent, 0 were there" in captured.out
    assert "1 of 2 blobs" in captured.err


@pytest.mark.slow
def test_token_is_requested_with_the_password(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.authentication = "bearer"
    log_in(registry, tmp_path, auth=PAIR)

    assert run(registry) == 0


@pytest.mark.slow
def test_token_is_requested_with_an_identity_token(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.authentication = "bearer"
    log_in(registry, tmp_path, auth=PAIR, identitytoken=IDENTITY)

    assert run(registry) == 0


@pytest.mark.slow
@pytest.mark.parametrize("authentication", ["basic", "bearer"])
def test_wrong_password_is_denied_once_and_not_printed(
    authentication: str,
    registry: FakeRegistry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.authentication = authentication
    log_in(registry, tmp_path, username=USER, password="secret1")

    assert run(registry) == 1

    err = capsys.readouterr().err
    assert f"denies access to team/git with user {USER}" in err
    assert "secret1" not in err
    assert "another attempt" not in err


@pytest.mark.slow
def test_transient_failures_are_retried(
    registry: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.faults = [(503, {}, b""), (429, {}, b"")]

    assert run(registry) == 0

    assert "responded with 503 for team/git; another attempt follows" in capsys.readouterr().err


Fault = tuple[int, dict[str, str], bytes]
HEAD_IS_MISSING: Fault = (404, {}, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([(400, {}, b"")], "responded with 400 for team/git"),
        ([(403, {}, b"")], "denies access"),
        ([(401, {"WWW-Authenticate": "Negotiate"}, b"")], "denies access"),
        ([HEAD_IS_MISSING, (202, {}, b"")], "responded with 202"),
        ([HEAD_IS_MISSING, (202, {"Location": "/up"}, b""), (400, {}, b"x" * (2 << 20))], "400"),
        (
            [HEAD_IS_MISSING, (404, {}, b'{"errors":[{"code":"NAME_INVALID","message":"no"}]}')],
            "responded with 404 for team/git: NAME_INVALID no",
        ),
        ([(307, {}, b""), (200, {}, b""), (413, {}, b"{}")], "responded with 413"),
        (
            [(200, {}, b""), (200, {}, b""), (201, {"Docker-Content-Digest": "sha256:1"}, b"")],
            "as sha256:1",
        ),
        ([(500, {}, b"")] * 3, "responded with 500"),
        ([HEAD_IS_MISSING, (202, {"Location": "http://host:port/"}, b"")], "invalid address"),
    ],
)
def test_failure_is_one_line_with_its_reason(
    registry: FakeRegistry,
    faults: list[Fault],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.faults = list(faults)

    assert run(registry) == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("nixery push: http")
    assert reason in last


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        ("", "denies access"),
        ("http://host:port/", "invalid address"),
        ("http://127.0.0.1:1/token", "127.0.0.1"),
    ],
)
def test_token_that_cannot_be_had_is_an_error(
    registry: FakeRegistry, realm: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.authentication = "bearer"
    registry.realm = realm

    assert run(registry) == 1

    assert reason in capsys.readouterr().err


def test_unreachable_registry_is_an_error(
    registry: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    run_at = ["push", "git", "127.0.0.1:1/git"]

    assert cli.run(run_at, serve=lambda: None) == 1

    assert "nixery push: http://127.0.0.1:1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "git",
        "team/git",
        "host.org/",
        "host.org/Git",
        "a.org/b:c/d",
        "localhost:99999/git",
        "[:::]:5000/git",
        "999.1.1.1/git",
        "xn--.org/git",
        "host.org/git:ä",
    ],
)
def test_destination_without_a_registry_is_wrong_usage(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["push", "git", text], serve=lambda: None) == 2

    assert "REGISTRY/REPOSITORY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "base", "repository"),
    [
        ("registry.example.org/a/b:1", "https://registry.example.org", "a/b"),
        ("docker.io/alpine", "https://registry-1.docker.io", "library/alpine"),
        ("docker.io/joe/git", "https://registry-1.docker.io", "joe/git"),
        ("localhost/git", "http://localhost", "git"),
        ("127.1.2.3:5000/git", "http://127.1.2.3:5000", "git"),
        ("[::1]:5000/git", "http://[::1]:5000", "git"),
        ("10.0.0.1:5000/git", "https://10.0.0.1:5000", "git"),
    ],
)
def test_address_of_a_destination(text: str, base: str, repository: str) -> None:
    destination = push.destination_of(text)

    assert destination.base(plain_http=False) == base
    assert destination.path == repository
    assert destination.base(plain_http=True).startswith("http://")


@pytest.mark.parametrize(
    ("entries", "registry", "expected"),
    [
        ({"h.org": {"auth": PAIR}}, "h.org", Credentials(USER, PASSWORD)),
        ({"https://h.org/v2/": {"auth": PAIR}}, "h.org", Credentials(USER, PASSWORD)),
        ({"https://index.docker.io/v1/": {"auth": PAIR}}, "docker.io", Credentials(USER, PASSWORD)),
        ({"h.org": {"username": "a", "password": "b"}}, "h.org", Credentials("a", "b")),
        ({"h.org": {"auth": "***"}}, "h.org", Credentials()),
        ({"h.org": "text"}, "h.org", Credentials()),
        ({"h.org": {"auth": PAIR}}, "h.org:5000", Credentials()),
    ],
)
def test_credentials_of_a_registry(
    entries: dict[str, object], registry: str, expected: Credentials
) -> None:
    assert find_credentials(entries, registry) == expected


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"auths": []}', b"\xff"])
def test_damaged_file_has_no_credentials(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_bytes(content)

    assert read_credentials("h.org") == Credentials()
    assert PASSWORD not in repr(Credentials(USER, PASSWORD))
