"""Passwords for registries, from the file that ``docker login`` writes."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.settings.environment import process_environment
from app.system.blocking import blocking

# Docker writes its own registry under this name.
_DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a registry accepts as proof of the user.

    ``identity_token`` replaces the password in OAuth 2; all may be "".
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header, "" without a user."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}" if self.user else ""


@blocking
def read_credentials(registry: str) -> Credentials:
    """Return the credentials for ``HOST[:PORT]``; empty ones if the file has none.

    Programs that keep passwords (``credsStore``) are not started.
    """
    try:
        document = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return Credentials()
    entries = document.get("auths") if isinstance(document, dict) else None
    return find_credentials(entries if isinstance(entries, dict) else {}, registry)


def find_credentials(entries: Mapping[str, Any], registry: str) -> Credentials:
    """Find the entry of a registry in ``auths``, also if it is written as a URL."""
    host = _DOCKER_HUB if registry in _DOCKER_HOSTS else registry
    entry = entries.get(host)
    if entry is None:
        entry = next((entries[name] for name in entries if _host(name) == host), None)
    if not isinstance(entry, dict):
        return Credentials()
    user, password = _pair(entry)
    return Credentials(user, password, _text(entry, "identitytoken"))


def _pair(entry: Mapping[str, Any]) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(_text(entry, "auth"), validate=True).decode()
    except (ValueError, binascii.Error):
        decoded = ""
    user, _, password = decoded.partition(":")
    if user:
        return user, password.rstrip("\0")
    return _text(entry, "username"), _text(entry, "password")


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _host(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] or name.partition("/")[0]


def _file() -> Path:
    directory = process_environment().get("DOCKER_CONFIG")
    return (Path(directory) if directory else Path.home() / ".docker") / "config.json"
