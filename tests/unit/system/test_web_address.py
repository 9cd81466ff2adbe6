"""Addresses that HTTP clients can and cannot use."""

import httpx
import pytest

from app.system.web_address import is_web_address


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost",
        "https://registry.example.org:5000/builds/b1?after=1#end",
        "http://user:password@host/x",
        "http://127.0.0.1:1",
        "http://[::1]:8080/x",
        "http://my_host.example.org./",
        "https://xn--bcher-kva.example/",
        f"http://{'a' * 63}.org",
    ],
)
def test_addresses_of_http_are_valid(address: str) -> None:
    assert is_web_address(address)
    httpx.URL(address).host.encode("idna")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host/builds/b1",
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://:80/x",
        "http://host:0/",
        "http://host:99999/",
        "http://host:-1/",
        "http://host:port/",
        "http://[::1",
        "http://[::zz]/",
        "http://999.1.1.1/",
        "http://1.2.3/",
        "http://.",
        "http://a..b/",
        f"http://{'a' * 64}.org/",
        "http://xn--/",
        "http://xn--99999999/",
        "http://bücher.example/",
        "http://a b/",
        "http://host/a b",
        "http://host/\n",
    ],
)
def test_other_addresses_are_invalid(address: str) -> None:
    assert not is_web_address(address)
