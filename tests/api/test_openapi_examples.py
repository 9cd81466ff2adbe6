"""The interface description is correct: schemathesis sends the requests that it allows."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from requests import PreparedRequest, Session

from app.state import WaitPolicy
from tests.api.registry import new_registry
from tests.served import served

pytest_plugins = ("schemathesis.pytest.plugin",)
pytestmark = pytest.mark.slow

REGISTRY = new_registry(WaitPolicy(redirect_seconds=0.2, redirects=2, hold_seconds=0.2))

schema = schemathesis.openapi.from_dict(REGISTRY.app.openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(REGISTRY.app) as address:
        yield address


def unescaped(request: PreparedRequest) -> PreparedRequest:
    """Do not escape slashes and colons in parameters: OpenAPI does not know such parameters."""
    assert request.url is not None
    path, mark, query = request.url.partition("?")
    request.url = path.replace("%2F", "/").replace("%3A", ":") + mark + query
    return request


@schema.parametrize()
@settings(max_examples=15, deadline=None)
def test_responses_are_as_described(case: schemathesis.Case[Any], address: str) -> None:
    with Session() as session:
        session.auth = unescaped
        case.call_and_validate(base_url=address, session=session)
