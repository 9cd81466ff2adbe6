import io
import json
import logging
from collections.abc import Iterator

import pytest
from loguru import logger

from app.log import VERSION, LogFormat, set_up


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logger.remove()
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


def test_automatic_form_is_json_where_nobody_watches() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.AUTO, stream=stream)

    logger.info("x")

    assert json.loads(stream.getvalue())["message"] == "x"


def test_standard_library_records_flow_into_the_same_stream() -> None:
    stream = io.StringIO()
    set_up(level="INFO", form=LogFormat.JSON, stream=stream)

    logging.getLogger("uvicorn.error").warning("from %s {braces}", "uvicorn")

    line = json.loads(stream.getvalue())
    assert line["message"] == "from uvicorn {braces}"
    assert line["logger"] == "uvicorn.error"


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
