"""Recognize an unreachable host in what Nix and git print."""

import re

from app.system.retrying import is_transient_status

# Nix repeats messages of curl and git, and git repeats those of curl and ssh.
_FETCHING = re.compile(
    r"unable to download '(?P<url>[^']+)'"
    r"|unable to access '(?P<repository>[^']+)'"
    r"|program 'git' failed|program '\S*/git' failed|failed to fetch git repository"
    # Nix from 2.20 goes on without the repository after git has failed.
    r"|resolving Git reference '[^']*'",
    re.IGNORECASE,
)
_STATUS = re.compile(r"HTTP error (\d{3})|returned error: (\d{3})")
_NETWORK = re.compile(
    r"could ?n[o']t (resolve|connect)|could not (resolve|connect)|failed to connect"
    r"|timed out|timeout was reached|network is unreachable|no route to host"
    r"|connection (was )?(refused|reset|closed|aborted)|empty reply|send failure|recv failure"
    r"|SSL (connect|peer|certificate)|server returned nothing|transferred a partial file"
    r"|operation too slow|connect to host|hung up unexpectedly|unexpected disconnect",
    re.IGNORECASE,
)
_RATE_LIMIT = re.compile(r"rate limit", re.IGNORECASE)


def unreachable(message: str, stderr: str) -> str | None:
    """Return the address that cannot be reached, or ""; None if the failure is another.

    ``message`` is the error that ended Nix; ``stderr`` has warnings and the output of git too.
    """
    ended = _FETCHING.search(message)
    if ended is None:
        return None
    if ended["url"]:
        return ended["url"] if _is_transient(message) else None
    if not _is_transient(stderr):
        return None
    repositories = [match["repository"] for match in _FETCHING.finditer(stderr)]
    return next((address for address in reversed(repositories) if address), "")


def _is_transient(text: str) -> bool:
    statuses = [int(status[1] or status[2]) for status in _STATUS.finditer(text)]
    if statuses:
        last = statuses[-1]
        return is_transient_status(last) or bool(_RATE_LIMIT.search(text))
    return bool(_NETWORK.search(text))
