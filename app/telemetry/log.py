"""Set up Loguru, and forward the standard library's loggers (of uvicorn and httpx) to it."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from app.telemetry.background_stream import BackgroundStream
from app.telemetry.lookups import count_dropped_lines
from app.telemetry.request_id import REQUEST_ID
from app.text.sanitize import one_line, printable

if TYPE_CHECKING:
    from loguru import Message, Record

LogStream = TextIO | BackgroundStream

VERSION = version("nixery")

_HUMAN = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> "
    "<dim>nixery/{extra[version]}</dim> {message} <dim>{extra[values]}</dim>"
)


# Extra fields that are not values bound to a record.
_OWN = frozenset({"version", "values", "trace"})
_VALUE_LIMIT = 1000
_DRAIN_SECONDS = 5
_INVALID_REQUESTS = (
    "Invalid HTTP request",
    "Unsupported upgrade",
    "No supported WebSocket library",
)


class LogFormat(StrEnum):
    """The form of log lines."""

    AUTO = "auto"  # human on a terminal, JSON otherwise
    HUMAN = "human"
    JSON = "json"


class _Forward(logging.Handler):
    """Forward a record of the standard library to Loguru with its level and logger."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.bind(logger=record.name).opt(exception=record.exc_info).log(
            level, "{}", record.getMessage()
        )


class _AccessLines(logging.Handler):
    """Write lines of requests as ``_line`` does, without Loguru, whose record costs more than they."""

    def __init__(self, stream: LogStream) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(),
            "level": record.levelname.lower(),
            "message": printable(record.getMessage().replace("\n", " ")),
            "version": VERSION,
            "logger": record.name,
        }
        if request := REQUEST_ID.get():
            document["request"] = request
        _write(self._stream, json.dumps(document))


def _write(stream: LogStream, line: str) -> None:
    """Write a line in one call, so that lines of several threads do not mix."""
    stream.write(f"{line}\n")
    stream.flush()


def _lower_level(record: logging.LogRecord) -> bool:
    """Log invalid requests at INFO: docker and podman send a TLS greeting at each pull."""
    if record.levelno == logging.WARNING and str(record.msg).startswith(_INVALID_REQUESTS):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return True


def _clean(record: "Record") -> None:
    """Remove control sequences of clients, packages and programs, for the sake of terminals."""
    record["message"] = printable(record["message"].replace("\n", " "))
    extra = record["extra"]
    if request := REQUEST_ID.get():
        extra["request"] = request
    for key, value in extra.items():
        if not isinstance(value, int | float | None):
            extra[key] = one_line(str(value), _VALUE_LIMIT)
    extra["values"] = _values(record)


def _human(record: "Record") -> str:
    """Format a record; Loguru does not sanitize tracebacks."""
    if record["exception"] is None:
        return _HUMAN + "\n"
    kind, error, trace = record["exception"]
    record["extra"]["trace"] = printable("".join(traceback.format_exception(kind, error, trace)))
    return _HUMAN + "\n{extra[trace]}"


def _values(record: "Record") -> str:
    shown = {k: v for k, v in record["extra"].items() if k not in _OWN}
    return " ".join(f"{key}={value}" for key, value in shown.items())


def _line(message: "Message") -> str:
    """Return a record as one flat JSON object, for log collectors."""
    record = message.record
    extra = {k: v for k, v in record["extra"].items() if k not in {"values", "trace"}}
    document: dict[str, object] = {
        "time": record["time"].isoformat(),
        "level": record["level"].name.lower(),
        "message": record["message"],
        **extra,
    }
    if record["exception"] is not None:
        document["exception"] = printable(str(message)[len(record["message"]) :].strip())
    return json.dumps(document, default=str)


@contextmanager
def in_background(stream: TextIO) -> Iterator[BackgroundStream]:
    """Make a stream for ``set_up`` whose callers do not wait for the reader of ``stream``.

    At the end wait for the last lines, some seconds if the reader stalls.
    """

    def report(lines: int) -> None:
        logger.warning("{} lines of the log were dropped, because it was not read in time", lines)

    lines = BackgroundStream(stream, on_dropped=report, count_dropped=count_dropped_lines)
    try:
        yield lines
    finally:
        lines.drain(_DRAIN_SECONDS)


def set_up(*, level: str, form: LogFormat, stream: LogStream = sys.stderr) -> None:
    """Log to a stream; each line has the version of the server, and its request if there is one."""
    human = form is LogFormat.HUMAN or (form is LogFormat.AUTO and stream.isatty())
    logger.remove()
    logger.configure(
        extra={"version": VERSION},
        patcher=_clean,
    )
    if human:
        logger.add(stream, level=level, format=_human, backtrace=False, diagnose=False)
    else:
        logger.add(
            lambda message: _write(stream, _line(message)),
            level=level,
            format="{message}",
            backtrace=False,
            diagnose=False,
        )
    logging.basicConfig(handlers=[_Forward()], level=logging.INFO, force=True)
    access = logging.getLogger("uvicorn.access")
    access.handlers = [] if human else [_AccessLines(stream)]
    access.propagate = human
    access.setLevel(max(logging.INFO, logger.level(level).no))
    logging.getLogger("uvicorn.error").addFilter(_lower_level)
    # httpx and httpcore log each request at INFO, which the server's own lines make redundant.
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
