"""``nixery watch`` at a server that sends one page after the other."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.commands import cli, watch
from app.commands.watch import added, address_of
from tests.serving import serving

PAGE = {
    "id": "b1",
    "image": "git:latest",
    "state": "running",
    "stage": "building",
    "message": "",
    "seconds": 3.0,
    "failure_log": [],
    "log": ["one"],
}
OTHER = {**PAGE, "log": ["one", "two"]}
BUILT = {**OTHER, "state": "succeeded", "seconds": 4.0, "log": ["two", "three"]}
FAILED = {**OTHER, "state": "failed", "message": "it broke", "failure_log": ["cc: error\x1b[0m"]}


class Pages(ThreadingHTTPServer):
    """Sends each answer once, and the last one again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.accepted: list[str] = []

    def send(self, *pages: dict[str, object] | int) -> None:
        self.answers = [
            (page, b"") if isinstance(page, int) else (200, json.dumps(page).encode())
            for page in pages
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/builds/b1"


class _Handler(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        self.server.accepted.append(self.headers["accept"])
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(watch, "_INTERVAL_SECONDS", 0)
    with serving(Pages()) as server:
        yield server


def run(*arguments: str) -> int:
    return cli.run(["watch", *arguments], serve=lambda: None)


def test_log_is_printed_once_and_to_the_end(
    pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.send(PAGE, PAGE, OTHER, BUILT)

    assert run(pages.url) == 0

    assert capsys.readouterr().out == "one\ntwo\nthree\ngit:latest: built in 4 s\n"
    assert set(pages.accepted) == {"application/json"}


def test_failed_build_has_status_1_and_its_reason(
    pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.send(PAGE, FAILED)

    assert run(pages.url) == 1

    assert capsys.readouterr().out == "one\ntwo\ncc: error\ngit:latest: it broke\n"


def test_identifier_is_looked_up_at_the_server_of_the_settings(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIXERY_PORT", str(pages.server_port))
    pages.send(PAGE, PAGE, BUILT)

    assert run("b1", "--json") == 0

    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "succeeded"]


def test_server_may_restart(pages: Pages) -> None:
    pages.send(502, 503, BUILT)

    assert run(pages.url) == 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (404, "no such build"),
        (500, "responded with 500"),
        ({"state": "running"}, "is not the page"),
    ],
)
def test_server_that_sends_no_build_is_an_error(
    pages: Pages,
    answer: dict[str, object] | int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages.send(answer)

    assert run(pages.url) == 1

    err = capsys.readouterr().err
    assert err.startswith("nixery watch: http://127.0.0.1:")
    assert reason in err


def test_unreachable_server_is_an_error(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("http://joe:hunter2@127.0.0.1:1/builds/b1") == 1

    err = capsys.readouterr().err
    assert err.startswith("nixery watch: http://127.0.0.1:1/builds/b1: ")
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/builds/b1",
        "http://host/images/b1",
        "builds/b1",
        "http://[::1/builds/b1",
        "http://host:port/builds/b1",
        "http://host:99999/builds/b1",
        "http://a..b/builds/b1",
    ],
)
def test_other_addresses_are_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(url) == 1

    assert "is not the address of a build" in capsys.readouterr().err


def test_external_url_of_the_settings_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_HOST", "::1")
    assert address_of("b1") == "http://[::1]:8080/builds/b1"
    monkeypatch.setenv("NIXERY_EXTERNAL_URL", "https://registry.example.org")
    assert address_of("b1") == "https://registry.example.org/builds/b1"


@pytest.mark.parametrize(
    ("seen", "log", "new"),
    [
        ([], ["a"], ["a"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "b"], ["b", "c"], ["c"]),
        (["a", "a"], ["a", "a", "a"], ["a"]),
        (["a", "b"], ["c", "d"], ["c", "d"]),
    ],
)
def test_lines_that_are_new(seen: list[str], log: list[str], new: list[str]) -> None:
    assert added(seen, log) == new
