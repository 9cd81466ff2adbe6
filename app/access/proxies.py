"""Trusted proxies, and the addresses of clients behind them.

uvicorn's middleware for this does not read the header of RFC 7239, ``Forwarded``.
"""

from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_REMEMBERED = 1024  # addresses; parsing one takes longer than finding an image in memory
_SITE_BITS = 64  # one client may use all addresses of a /64
# Proxies in a row.  A client that is itself trusted may send any number of addresses.
_HOPS = 16


class ProxyHeader(StrEnum):
    """The header to read: proxies pass the other one on as the client wrote it."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


def networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks that are separated by commas.  Raises ValueError."""
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


@lru_cache(_REMEMBERED)
def is_trusted(text: str, trusted: tuple[Network, ...]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


def forwarded_client(peer: str, addresses: list[str], trusted: tuple[Network, ...]) -> str:
    """Return the client's address; ``addresses`` are those in the header, the nearest last.

    Each trusted proxy vouches only for the address before it.
    """
    client = peer
    for claimed in reversed(addresses):
        if not is_trusted(client, trusted) or _address(claimed) is None:
            break
        client = claimed
    return client


@lru_cache(_REMEMBERED)
def same_client(address: str) -> str:
    """Return one text for all addresses of a client: for IPv6 the /64 network."""
    parsed = _address(address)
    match parsed:
        case IPv6Address():
            return str(IPv6Network((parsed, _SITE_BITS), strict=False))
        case IPv4Address():
            return str(parsed)
        case None:
            return ""


def addresses_of(header: ProxyHeader, values: list[str]) -> list[str]:
    """Return the nearest addresses in the header's lines, in order; "" for invalid ones."""
    elements = ",".join(values).rsplit(",", _HOPS)[-_HOPS:]
    if header is ProxyHeader.X_FORWARDED_FOR:
        return [_bare(element.strip()) for element in elements]
    return [_bare(_parameter(element, "for")) for element in elements]


def _parameter(element: str, name: str) -> str:
    for pair in element.split(";"):
        key, _, value = pair.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def _bare(text: str) -> str:
    """Remove the port, the brackets and the zone of IPv6; return "" for another text."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = _address(text)
    return "" if address is None else str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
