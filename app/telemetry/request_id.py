"""The identifier of the HTTP request that log lines belong to.

It is a context variable: a job that a request starts passes it on (``app.builder.jobs``).
"""

import itertools
import re
import secrets
from contextvars import ContextVar

# "" outside of requests.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=-]{0,127}")
# Random once for each process, then counted: identifiers are unique, not secret.
_PREFIX = secrets.token_hex(6)
_NUMBERS = itertools.count(1)


def new_request_id() -> str:
    return f"{_PREFIX}-{next(_NUMBERS):x}"


def is_request_id(text: str) -> bool:
    """Return whether a text of another program can stand in logs and headers as it is."""
    return _VALID.fullmatch(text) is not None
