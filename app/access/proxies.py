"""Which proxies are trusted to say for whom they ask."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_SITE_BITS = 64  # one customer has as many addresses at least


class ProxyHeader(StrEnum):
    """Only one is read: a proxy passes the other on as its client wrote it."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas.  Raises ValueError."""
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


def is_trusted(text: str, trusted: tuple[Network, ...]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


def forwarded_client(peer: str, addresses: list[str], trusted: tuple[Network, ...]) -> str:
    """The client's address, where ``addresses`` are those that proxies wrote down, nearest last.

    Each trusted proxy vouches for the one address before it, and for no more.
    """
    client = peer
    for claimed in reversed(addresses):
        if not is_trusted(client, trusted) or _address(claimed) is None:
            break
        client = claimed
    return client


def same_client(address: str) -> str:
    """One text for all addresses that one client may have: of IPv6 a whole /64."""
    parsed = _address(address)
    match parsed:
        case IPv6Address():
            return str(IPv6Network((parsed, _SITE_BITS), strict=False))
        case IPv4Address():
            return str(parsed)
        case None:
            return ""


def addresses_of(header: ProxyHeader, values: list[str]) -> list[str]:
    """What the lines of the header name, in their order; "" for what is not an address."""
    elements = [element.strip() for value in values for element in value.split(",")]
    if header is ProxyHeader.X_FORWARDED_FOR:
        return [_bare(element) for element in elements]
    return [_bare(_parameter(element, "for")) for element in elements]


def _parameter(element: str, name: str) -> str:
    for pair in element.split(";"):
        key, _, value = pair.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def _bare(text: str) -> str:
    """Without a port and the brackets of IPv6."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text if _address(text) is not None else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
