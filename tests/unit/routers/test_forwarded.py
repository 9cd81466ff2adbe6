"""The scope as routes see it behind a proxy."""

import pytest
from starlette.types import Receive, Scope, Send

from app.access.proxies import ProxyHeader, networks
from app.routers.forwarded import FORWARDED_ID, Forwarded, client_of


async def scope_of(peer: str, header: ProxyHeader, *headers: tuple[bytes, bytes]) -> Scope:
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope)

    async def nothing() -> dict[str, object]:
        return {}

    async def drop(_message: object) -> None:
        return

    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": list(headers)}
    await Forwarded(app, trusted=networks("127.0.0.1"), header=header)(scope, nothing, drop)
    return scopes[0]


async def seen(peer: str, header: ProxyHeader, *headers: tuple[bytes, bytes]) -> tuple[str, str]:
    """Client and scheme."""
    scope = await scope_of(peer, header, *headers)
    return client_of(scope), scope["scheme"]


FOR, FORWARDED = ProxyHeader.X_FORWARDED_FOR, ProxyHeader.FORWARDED
BOTH = (
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"forwarded", b"for=192.0.2.2"),
    (b"x-forwarded-proto", b"https"),
)


async def test_only_the_named_header_of_a_trusted_proxy_counts() -> None:
    assert await seen("127.0.0.1", FOR, *BOTH) == ("192.0.2.1", "https")
    assert await seen("127.0.0.1", FORWARDED, *BOTH) == ("192.0.2.2", "https")
    assert await seen("198.51.100.1", FOR, *BOTH) == ("198.51.100.1", "http")


async def test_a_proxy_without_an_address_in_its_header_is_the_client() -> None:
    assert await seen("127.0.0.1", FOR) == ("127.0.0.1", "http")


async def test_a_scheme_that_is_not_http_is_ignored() -> None:
    assert (await seen("127.0.0.1", FOR, (b"x-forwarded-proto", b"javascript")))[1] == "http"


async def test_the_identifier_of_a_trusted_proxy_is_taken() -> None:
    header = (b"x-request-id", b"0af7651916cd43dd8448eb211c80319c")

    assert (await scope_of("127.0.0.1", FOR, header))[FORWARDED_ID] == header[1].decode()
    assert FORWARDED_ID not in await scope_of("198.51.100.1", FOR, header)


@pytest.mark.parametrize(
    "text", [b"", b"a b", b"a\xff", b"-", b"<script>", b'a"b', b"x" * 129, b"a,b"]
)
async def test_an_identifier_that_could_break_a_log_or_a_header_is_replaced(text: bytes) -> None:
    assert FORWARDED_ID not in await scope_of("127.0.0.1", FOR, (b"x-request-id", text))


async def test_of_several_identifiers_none_is_taken() -> None:
    one, other = (b"x-request-id", b"one"), (b"x-request-id", b"other")

    assert FORWARDED_ID not in await scope_of("127.0.0.1", FOR, one, other)
