"""Explain git's errors to clients: without the repository's address, and with the setting to check.

The last line of git's output is seldom the cause: ssh writes it earlier, and libcurl's message
contains the address.
"""

import re
from urllib.parse import urlsplit

from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.unpacking import FULL, NO_NAME, TOO_LONG, TWICE
from app.builder.sources.upstream import UNTRUSTED
from app.text.sanitize import one_line_for_client

_LIMIT = 200
_TOO_LARGE = "git cannot store what the host sends: it is too large, or memory is short"
# The first match counts: a cause is listed before its consequences.
_CAUSES = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (r"host key is known for", "ssh does not know the host's key (see known_hosts)"),
        (
            r"REMOTE HOST IDENTIFICATION HAS CHANGED",
            "the host's key has changed (see known_hosts)",
        ),
        (r"Host key verification failed", "ssh does not accept the host's key (see known_hosts)"),
        (r"bad permissions", "ssh ignores a private key that others may read (see ssh_key)"),
        (r"Identity file .* not accessible", "the private key cannot be read (see ssh_key)"),
        (r"Permission denied \(", "the host does not accept the key (see ssh_key)"),
        (
            r"certificate verification failed|server verification failed|SSL certificate problem",
            UNTRUSTED,
        ),
        (
            r"Problem with the SSL CA cert|error setting certificate",
            "the trusted certificates cannot be read (see SSL_CERT_FILE, GIT_SSL_CAINFO)",
        ),
        (r"unable to read askpass response", "the token cannot be read (see token_file)"),
        # The only line if git's own process was killed, which the limit of a file's size does.
        (
            r"\Afatal: fetch-pack: invalid index-pack output\s*\Z|died of signal|File too large",
            _TOO_LARGE,
        ),
        (r"[Oo]ut of memory|Cannot allocate memory", _TOO_LARGE),
        (r"No space left on device|Disk quota exceeded|unable to write (?:file|new)", FULL),
        (r"Could not resolve host", "the name of its host cannot be resolved"),
        (r"Connection refused|Couldn't connect to server", "no server responds at its address"),
        (
            r"does not appear to be a git repository|repository '.*' not found",
            "its location has no repository, or access is denied",
        ),
    )
)
_FAULTS = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (r": File name too long", TOO_LONG),
        (r"unable to create symlink .*: No such file", "a link has no target"),
        (r"(?m)^error: .*: (?:File exists|Is a directory|Not a directory)$", TWICE),
        (r": Invalid (?:argument|or incomplete multibyte)", NO_NAME),
        (r"malformed mode|too-short tree|empty filename", "git cannot read the list of files"),
    )
)
_REFUSED = re.compile(r"invalid path '(.{1,60}?)(?:'|$)", re.MULTILINE)
_SILENT = re.compile(r"Operation too slow|[Tt]imed out|Timeout, server|Timeout was reached")
_UNAUTHORISED = re.compile(r"Authentication failed|could not read (?:Username|Password)")
_IDLE = re.compile(
    r"^(fatal: Could not read from remote repository\.|and the repository exists\.|"
    r"Please make sure you have the correct access rights|\s*)$"
)
_SCP_HOST = re.compile(r"^(?:[^@/:]+@)?([^/:]+):")


def explain(stderr: str, definition: GitDefinition | FlakeDefinition) -> str:
    """Return one line: an explanation, or the last line of git's output."""
    for pattern, message in _CAUSES:
        if pattern.search(stderr):
            return message
    if _SILENT.search(stderr):
        return f"no response from {host_of(definition)}"
    if _UNAUTHORISED.search(stderr):
        if definition.token_file is None:
            return "the host requires a user name and a token (see token_file)"
        return "the host does not accept the user name and token (see username, token_file)"
    lines = [text for text in stderr.splitlines() if not _IDLE.match(text)]
    last = (lines or ["git failed"])[-1].removeprefix("fatal: ")
    last = re.sub(f"'?{re.escape(definition.location)}/*'?", "the repository", last)
    host = _host(definition.location)
    return one_line_for_client(last.replace(host, "the host") if host else last, _LIMIT)


def host_of(definition: GitDefinition | FlakeDefinition) -> str:
    """Return the host of the repository, with a port if its address has one."""
    if "://" in definition.location:
        return urlsplit(definition.location).netloc.rpartition("@")[2] or "the repository"
    return _host(definition.location) or "the repository"


def explain_files(stderr: str) -> str | None:
    """Return what is wrong with files that git did not unpack; None for other errors."""
    if refused := _REFUSED.search(stderr):
        return f"git refuses the name {refused[1]}"
    return next((message for pattern, message in _FAULTS if pattern.search(stderr)), None)


def _host(location: str) -> str | None:
    """Return None for a directory of this machine."""
    if "://" in location:
        return urlsplit(location).hostname
    found = _SCP_HOST.match(location)
    return found[1] if found else None
