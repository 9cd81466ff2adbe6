"""Properties of a client, by its User-Agent."""

import re

# containerd gives up 30 s after a request without response headers from 2.3.0 on.  Docker names
# the containerd in it; BuildKit inside Docker has the limit without naming a version.
_HEADER_LIMIT = re.compile(r"containerd(?:-client)?/v?(?:2\.(?:[3-9]|\d\d)|[3-9]|\d\d)|buildkit/")

# Clients that print the message of a 403, and of a 404 only "not found".
# containerd does so from 2.3.3 on, earlier releases print no message at all; Docker 29.7.0 and
# BuildKit 0.32.0 are the first releases with that containerd.  BuildKit inside Docker calls itself
# v0.0, whatever its version.
_MESSAGE_NEEDS_403 = re.compile(
    r"containerd(?:-client)?/v?(?:2\.3\.(?:[3-9]|\d\d)|2\.(?:[4-9]|\d\d)|[3-9]|\d\d)"
    r"|^docker/(?:29\.(?:[7-9]|\d\d)|[3-9]\d).*containerd-client/"
    r"|buildkit/v?(?:0\.(?:0(?!\d)|3[2-9]|[4-9]\d|\d{3})|[1-9])"
    r"|^oras(?:-go)?(?:/|$)"
)

# Docker names the platform of its daemon; containerd and Podman do not.
_PLATFORM = re.compile(r"\bos/linux arch/([a-z0-9]{1,20})\b")


def architecture_of(user_agent: str) -> str:
    """Return the client's architecture, "" if it is not known.

    It may change the order of work, but no response: one tag has one digest for all clients.
    """
    found = _PLATFORM.search(user_agent)
    return found[1] if found else ""


def has_header_limit(user_agent: str) -> bool:
    """Return whether the client gives up if the response headers take more than 30 s."""
    return _HEADER_LIMIT.search(user_agent) is not None


def hides_not_found(user_agent: str) -> bool:
    """Return whether the client prints the message of a 403, but not the message of a 404."""
    return _MESSAGE_NEEDS_403.search(user_agent) is not None
