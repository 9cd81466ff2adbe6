import io
import json
import logging
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from loguru import logger

from app.telemetry.log import VERSION, LogFormat, set_up
from app.telemetry.request_id import REQUEST_ID
from tests.served import served


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logger.remove()
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.NOTSET)
    logging.basicConfig(handlers=[], force=True)


def test_a_json_line_has_version_level_and_bound_values() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.JSON, stream=stream)

    logger.bind(image="git").info("built {}", "git")

    line = json.loads(stream.getvalue())
    assert line["version"] == VERSION
    assert (line["level"], line["message"], line["image"]) == ("info", "built git", "git")


def test_a_human_line_has_the_version_too() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.HUMAN, stream=stream)

    logger.bind(image="git").info("built")

    assert f"nixery/{VERSION}" in stream.getvalue()
    assert "image=git" in stream.getvalue()


def test_the_automatic_format_is_json_without_a_terminal() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.AUTO, stream=stream)

    logger.info("x")

    assert json.loads(stream.getvalue())["message"] == "x"


def test_records_of_the_standard_library_are_forwarded() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.JSON, stream=stream)

    logging.getLogger("uvicorn.error").warning("from %s {braces}", "uvicorn")

    line = json.loads(stream.getvalue())
    assert line["message"] == "from uvicorn {braces}"
    assert line["logger"] == "uvicorn.error"


@pytest.mark.parametrize("form", [LogFormat.HUMAN, LogFormat.JSON])
def test_a_traceback_is_written_once_without_empty_lines(form: LogFormat) -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=form, stream=stream)

    try:
        raise ValueError("inner")
    except ValueError:
        logger.exception("outer")
    logger.info("next")

    assert stream.getvalue().count("Traceback") == 1
    assert "" not in stream.getvalue().splitlines()


def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.JSON, stream=stream)

    try:
        raise ValueError("inner")
    except ValueError:
        logger.exception("outer")

    line = json.loads(stream.getvalue())
    assert line["message"] == "outer"
    assert "ValueError: inner" in line["exception"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "greeting",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["tls", "websocket"],
)
def test_invalid_requests_are_logged_at_info(greeting: bytes) -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.JSON, stream=stream)

    with served(FastAPI()) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(greeting)
            assert client.recv(1 << 16)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert any("Invalid" in line["message"] or "upgrade" in line["message"] for line in lines)


_HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\u202eFAKE\u2066 \x9b31m\u2028\U000e0041"


@pytest.mark.parametrize("form", [LogFormat.HUMAN, LogFormat.JSON])
def test_foreign_text_is_one_line_without_control_sequences(form: LogFormat) -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=form, stream=stream)

    logger.bind(path=f"/v2/{_HOSTILE}").info("asked for {}", _HOSTILE)
    logging.getLogger("uvicorn.error").warning("from %s", _HOSTILE)

    written = stream.getvalue()
    assert len(written.splitlines()) == 2
    if form is LogFormat.JSON:
        written = "\n".join(str(json.loads(text)) for text in written.splitlines())
    assert "FAKE" in written
    assert "owned" not in written
    assert all(character.isprintable() or character == "\n" for character in written)


@pytest.mark.parametrize("form", [LogFormat.HUMAN, LogFormat.JSON])
def test_a_traceback_keeps_its_lines_without_control_sequences(form: LogFormat) -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=form, stream=stream)

    try:
        raise ValueError(_HOSTILE)
    except ValueError:
        logger.exception("broke")

    written = stream.getvalue()
    if form is LogFormat.JSON:
        written = json.loads(written)["exception"]
    assert "ValueError" in written
    assert "FAKE" in written
    assert "\n  File " in written
    assert all(character.isprintable() or character == "\n" for character in written)


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.HUMAN])
def test_lines_of_requests_are_like_all_others(form: LogFormat) -> None:
    """They are written by another handler than other records of the standard library."""
    lines = []
    token = REQUEST_ID.set("abc-1")
    for name in ("uvicorn.access", "uvicorn.error"):
        stream = io.StringIO()
        set_up(level="INFO", form=form, stream=stream)
        logging.getLogger(name).info('%s - "%s %s"', "127.0.0.1:1", "GET", "/v2/\x1b[31m\né")
        assert stream.getvalue().count("\n") == 1
        assert "\x1b" not in stream.getvalue()
        assert "abc-1" in stream.getvalue()
        lines.append(stream.getvalue())
    REQUEST_ID.reset(token)

    if form is LogFormat.JSON:
        access, other = map(json.loads, lines)
        assert list(access) == list(other)
        assert access["time"][-6:] == other["time"][-6:]
        assert access["logger"] == "uvicorn.access"
        same = ("level", "message", "version", "request")
        assert [access[key] for key in same] == [other[key] for key in same]


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.HUMAN])
def test_lines_of_requests_are_of_the_level_info(form: LogFormat) -> None:
    for level, lines in (("DEBUG", 1), ("INFO", 1), ("WARNING", 0)):
        stream = io.StringIO()
        set_up(level=level, form=form, stream=stream)
        logging.getLogger("uvicorn.access").info("GET")
        assert stream.getvalue().count("GET") == lines
