"""Addresses that HTTP clients can use.

Our clients raise errors of several kinds for an invalid host or port, some of them only when they
connect, so addresses from settings, arguments and responses are checked first.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_SCHEMES = frozenset({"http", "https"})
_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMERIC = re.compile(r"[0-9.]+")
_ENCODED = "xn--"


def is_web_address(text: str) -> bool:
    """Return whether the text is an http or https URL with a valid host and port."""
    if not _PRINTABLE.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and port != 0 and _is_host(parts.hostname or "")


def _is_host(host: str) -> bool:
    if ":" in host or _NUMERIC.fullmatch(host):
        try:
            ip_address(host)
        except ValueError:
            return False
        return True
    return all(map(_is_label, host.removesuffix(".").split(".")))


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.startswith(_ENCODED):
        return True
    try:
        return bool(label.removeprefix(_ENCODED).encode().decode("punycode"))
    except UnicodeError:
        return False
