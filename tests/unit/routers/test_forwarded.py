"""The scope as routes see it behind a proxy."""

from starlette.types import Receive, Scope, Send

from app.access.proxies import ProxyHeader, networks
from app.routers.forwarded import Forwarded, client_of


async def seen(peer: str, header: ProxyHeader, *headers: tuple[bytes, bytes]) -> tuple[str, str]:
    """Client and scheme."""
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope)

    async def nothing() -> dict[str, object]:
        return {}

    async def drop(_message: object) -> None:
        return

    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": list(headers)}
    await Forwarded(app, trusted=networks("127.0.0.1"), header=header)(scope, nothing, drop)
    return client_of(scopes[0]), scopes[0]["scheme"]


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
