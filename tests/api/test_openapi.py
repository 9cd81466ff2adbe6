"""The interface description tells the truth: schemathesis asks all it allows, and some more."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from requests import PreparedRequest, Session

from app.state import Patience
from tests.api.registry import new_registry
from tests.served import served

REGISTRY = new_registry(Patience(hop_seconds=0.2, hops=2, hold_seconds=0.2))

schema = schemathesis.openapi.from_dict(REGISTRY.app.openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(REGISTRY.app) as address:
        yield address


def unescaped(request: PreparedRequest) -> PreparedRequest:
    """OpenAPI knows no parameters with slashes; clients made from it escape them, and colons."""
    assert request.url is not None
    path, mark, query = request.url.partition("?")
    request.url = path.replace("%2F", "/").replace("%3A", ":") + mark + query
    return request


@schema.parametrize()
@settings(max_examples=15, deadline=None)
def test_answers_are_as_described(case: schemathesis.Case[Any], address: str) -> None:
    with Session() as session:
        session.auth = unescaped
        case.call_and_validate(base_url=address, session=session)
