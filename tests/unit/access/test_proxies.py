"""The client of a request behind trusted proxies."""

import pytest

from app.access.proxies import ProxyHeader, addresses_of, forwarded_client, networks, same_client

TRUSTED = networks("127.0.0.0/8, ::1, 10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "claimed", "client"),
    [
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.5", "192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.5", "192.0.2.1", "10.1.2.3"], "192.0.2.1"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", ["192.0.2.1", ""], "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_trusted_for_one_address(
    peer: str, claimed: list[str], client: str
) -> None:
    assert forwarded_client(peer, claimed, TRUSTED) == client


def test_addresses_of_x_forwarded_for() -> None:
    values = ["192.0.2.1, 192.0.2.2:4711", "[2001:db8::1]:80,nonsense", "2001:db8::2"]

    found = addresses_of(ProxyHeader.X_FORWARDED_FOR, values)

    assert found == ["192.0.2.1", "192.0.2.2", "2001:db8::1", "", "2001:db8::2"]


def test_addresses_of_forwarded() -> None:
    values = ['for=192.0.2.1;proto=https, For="[2001:db8::1]:80"', "by=192.0.2.9;for=_hidden"]

    found = addresses_of(ProxyHeader.FORWARDED, values)

    assert found == ["192.0.2.1", "2001:db8::1", ""]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
    ],
)
def test_all_addresses_of_a_64_are_one_client(address: str, client: str) -> None:
    assert same_client(address) == client


def test_of_any_number_of_addresses_the_nearest_are_read() -> None:
    far = ["203.0.113.5"] * 20_000

    found = addresses_of(ProxyHeader.X_FORWARDED_FOR, [", ".join([*far, "10.1.2.3", "::1"])])

    assert len(found) < 100
    assert found[-2:] == ["10.1.2.3", "::1"]
    assert forwarded_client("127.0.0.1", found, TRUSTED) == "203.0.113.5"


def test_the_zone_of_an_address_is_not_kept() -> None:
    found = addresses_of(ProxyHeader.X_FORWARDED_FOR, ["fe80::1%" + "a" * 60_000])

    assert found == ["fe80::1"]
