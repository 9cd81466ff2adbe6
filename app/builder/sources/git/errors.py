"""Why git failed, for a client's terminal: without the repository's address, and with the
setting to look at.

What git says last is seldom the cause: ssh has told it before, and libcurl tells it with the
address in it.
"""

import re
from urllib.parse import urlsplit

from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.unpacking import FULL, NO_NAME, TOO_LONG, TWICE
from app.builder.sources.upstream import UNTRUSTED
from app.text.sanitize import sentence

_LIMIT = 200
# From the cause that explains most to the one that may follow from it.
_CAUSES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"host key is known for", "ssh does not know the host's key (see known_hosts)"),
        (
            r"REMOTE HOST IDENTIFICATION HAS CHANGED",
            "the host shows another key than the one that is known (see known_hosts)",
        ),
        (r"Host key verification failed", "ssh does not accept the host's key (see known_hosts)"),
        (r"bad permissions", "ssh ignores a private key that others may read (see ssh_key)"),
        (r"Identity file .* not accessible", "the private key cannot be read (see ssh_key)"),
        (r"Permission denied \(", "the host does not accept the key (see ssh_key)"),
        (r"certificate verification failed|SSL certificate problem", UNTRUSTED),
        (
            r"Problem with the SSL CA cert|error setting certificate",
            "the trusted certificates cannot be read (see SSL_CERT_FILE, GIT_SSL_CAINFO)",
        ),
        (r"unable to read askpass response", "the token cannot be read (see token_file)"),
        (r"No space left on device|Disk quota exceeded|unable to write (?:file|new)", FULL),
        (r"Could not resolve host", "the name of its host cannot be resolved"),
        (r"Connection refused|Couldn't connect to server", "nothing answers at its address"),
        (
            r"does not appear to be a git repository|repository '.*' not found",
            "there is no repository at its location, or none that may be read",
        ),
    )
)
_FAULTS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r": File name too long", TOO_LONG),
        (r"unable to create symlink .*: No such file", "a link leads nowhere"),
        (r"(?m)^error: .*: (?:File exists|Is a directory|Not a directory)$", TWICE),
        (r": Invalid (?:argument|or incomplete multibyte)", NO_NAME),
        (r"malformed mode|too-short tree|empty filename", "git cannot read their list"),
    )
)
_REFUSED = re.compile(r"invalid path '(.{1,60}?)(?:'|$)", re.MULTILINE)
_UNAUTHORISED = re.compile(r"Authentication failed|could not read (?:Username|Password)")
_IDLE = re.compile(
    r"^(fatal: Could not read from remote repository\.|and the repository exists\.|"
    r"Please make sure you have the correct access rights|\s*)$"
)
_SCP_HOST = re.compile(r"^(?:[^@/:]+@)?([^/:]+):")


def cause(stderr: str, definition: GitDefinition | FlakeDefinition) -> str:
    """One line, be it of git's words or of ours."""
    for pattern, words in _CAUSES:
        if pattern.search(stderr):
            return words
    if _UNAUTHORISED.search(stderr):
        if definition.token_file is None:
            return "the host wants a user name and a token (see token_file)"
        return "the host does not accept the user name and token (see username, token_file)"
    lines = [text for text in stderr.splitlines() if not _IDLE.match(text)]
    said = (lines or ["git failed"])[-1].removeprefix("fatal: ")
    said = re.sub(f"'?{re.escape(definition.location)}/*'?", "the repository", said)
    host = _host(definition.location)
    return sentence(said.replace(host, "the host") if host else said, _LIMIT)


def fault_of_files(stderr: str) -> str | None:
    """What is wrong with the files that git did not unpack; None if it is not their fault."""
    if refused := _REFUSED.search(stderr):
        return f"git refuses the name {refused[1]}"
    return next((words for pattern, words in _FAULTS if pattern.search(stderr)), None)


def _host(location: str) -> str | None:
    """None for a directory of this machine."""
    if "://" in location:
        return urlsplit(location).hostname
    found = _SCP_HOST.match(location)
    return found[1] if found else None
