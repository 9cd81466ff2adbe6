"""Which input of a flake could not be fetched, and why, in what Nix, git and ssh print."""

import re
from urllib.parse import urlsplit

from app.builder.nix.door import Flake

# Reasons are in the last lines.
_READ = 16 * 1024
_ABSENT = re.compile("No such file or directory|does not exist")
# Nix from 2.20 prints a second slash.
_ABSENT_PATH = re.compile(rf"'/?(?P<path>/[^'\n]*)'.*(?:{_ABSENT.pattern})")
_FETCHING = re.compile(
    r"unable to download '|program '(?:\S*/)?git' failed|failed to fetch git repository"
    r"|resolving Git reference '|Git repository \S+ does not exist"
    r"|Cannot find Git revision '|getting Git object '",
    re.IGNORECASE,
)
# git's messages about access have the host and not the repository, ssh's the host alone.
_HOST = re.compile(
    r"could not read (?:Username|Password) for '\w+://(?:[^@'/\s]*@)?([^'/\s]+)"
    r"|connect to host (\S+) port|resolve hostname ([^:\s]+)"
    r"|^(?:[^@\s]*@)?(\S+): Permission denied",
    re.MULTILINE,
)
# Of hosts, and of repositories of this machine.
_MISSING_REF = re.compile(
    r"couldn't find remote ref (\S+)|ambiguous argument '([^'\n]+)': unknown revision"
)
_ACCESS = (
    r"could not read (?:Username|Password)|Authentication failed|Permission denied \("
    r"|returned error: 40[13]"
)
_REPOSITORY = (
    r"repository '[^'\n]*' not found|does not appear to be a git repository"
    r"|returned error: 404|Git repository \S+ does not exist"
)
_REVISION = (
    r"couldn't find remote ref|unknown revision|revspec '|not our ref|Cannot find Git revision"
    r"|Git object '\w+': object not found"
)
# Nix 2.8, 2.26, and 2.34.
_NO_FLAKE = re.compile(
    r"/flake\.nix': No such file|/flake\.nix' does not exist"
    r"|Path 'flake\.nix' does not exist in Git repository"
)
# Nix from 2.20 prints them from the flake to the input; "target" is the flake of the source.
_UPDATING = re.compile(r"while updating the flake input '(?:target/)?([^'\n]+)'")
# The first match counts: Nix from 2.20 goes on without the repository after git has failed.
_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (_ACCESS, "the host refuses access without credentials"),
        (r"Host key verification failed", "ssh does not know the host's key"),
        (_REPOSITORY, "the repository does not exist, or access is denied"),
        (_REVISION, "it has no such branch, tag or commit"),
    )
)


def input_at(stderr: str, flake: Flake | None) -> str | None:
    """Return the name of the flake's input that Nix could not fetch, if only one matches."""
    places = flake.places if flake else ()
    found = {name for name, place in places if place.removeprefix("file://") in stderr}
    if not found:
        matches = _HOST.finditer(stderr[-_READ:])
        hosts = {host for match in matches for host in match.groups() if host}
        found = {name for name, place in places if hosts & _hosts(place)}
    if not found and flake:
        # git's message about a missing branch has no address, and Nix 2.8 adds none.
        missing = {
            ref for match in _MISSING_REF.finditer(stderr[-_READ:]) for ref in match.groups() if ref
        }
        found = {name for name, branch in flake.branches if missing & _refs(branch)}
    if not found and flake:
        found = set(_UPDATING.findall(stderr[-_READ:])[-1:]) - {"target"}
    return found.pop() if len(found) == 1 else None


def missing_input(message: str, stderr: str, flake: Flake | None) -> str | None:
    """Return the name of the flake's input that is a missing path of this machine, if any.

    The message for clients has no paths; ``stderr`` does.
    """
    if flake is None or not _ABSENT.search(message):
        return None
    missing = {match["path"] for match in _ABSENT_PATH.finditer(stderr)}
    return next((name for name, place in flake.places if place in missing), None)


def not_a_flake(message: str, stderr: str, flake: Flake | None) -> str | None:
    """Return which input has no flake.nix; None if the failure is another."""
    # Without inputs it is the source itself.
    if flake is None or not flake.places or not _NO_FLAKE.search(message):
        return None
    name = input_at(stderr, flake)
    subject = f"its input {name}" if name else "one of its inputs"
    return f"{subject} is not a flake: it has no flake.nix (flake = false may be missing)"


def refused(message: str, stderr: str, flake: Flake | None) -> str | None:
    """Return what could not be fetched from a host that responds, and why; None if unknown.

    ``message`` is the error that ended Nix.
    """
    if not _FETCHING.search(message):
        return None
    end = stderr[-_READ:]
    by_git = "unable to download '" not in message
    reason = by_git and next((text for found, text in _REASONS if found.search(end)), None)
    name = input_at(stderr, flake)
    if name is None and not reason:
        return None
    subject = f"its input {name}" if name else "a repository"
    return f"{subject} cannot be fetched: {reason or message}"


def _refs(branch: str) -> set[str]:
    return {branch, f"refs/heads/{branch}", f"refs/tags/{branch}"}


def _hosts(place: str) -> set[str]:
    """Return the host of an address, with and without its port."""
    try:
        parts = urlsplit(place)
    except ValueError:
        return set()
    return {parts.netloc.rpartition("@")[2], parts.hostname or ""} - {""}
