"""Find out why a realisation failed: the package, a refusal, or a transient fault.

An error is lasting only where it is known to be: a builder that ran and failed, a derivation
that Nix refuses, another system, a path that no cache has.  Everything else is retried.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.builder.nix.closure import StorePath
from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.build_log import BuildLog
from app.builder.nix.programs.errors import failure_text, is_other_system, is_refused
from app.builder.nix.programs.fetches import Fault
from app.errors import (
    BuildFailed,
    BuildTimedOut,
    DownloadFailed,
    NotCached,
    RegistryError,
    StoreUnavailable,
)
from app.system.process import Finished
from app.text.sanitize import excerpt_for_client, one_line

_SHOWN = 5
_REASON_LIMIT = 120
# Shorter than a response may be: the address of the build's page is added to it.
_MESSAGE_LIMIT = 240
_LEAST = 60
_HASH = re.compile(r"/nix/store/[0-9a-z]{32}-")
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|lack of free disk space")
_TRANSIENT_DOWNLOAD = re.compile(
    r"HTTP error (?!4(?!08|29))|[Tt]imeout|[Tt]imed out|onnect|resolve|recv"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A realisation of ``wanted`` store paths that has ended.

    ``missing`` are the store paths that are not in the store now.  ``signers`` has the names of
    the keys that signed the ignored store paths.
    """

    options: RealiseOptions
    log: BuildLog
    wanted: Sequence[str]
    missing: Collection[str]
    signers: Mapping[str, tuple[str, ...]]


def has_fault(attempt: Attempt) -> bool:
    """Return whether a binary cache failed, in place of lacking the path."""
    return bool(attempt.log.fetches.faults(attempt.missing))


def failure(attempt: Attempt, finished: Finished) -> RegistryError:
    """Diagnose an attempt that ended with an error."""
    log, reason = attempt.log, attempt.log.reason
    ignored = ignored_signature(attempt)
    if _NO_SPACE.search(reason):
        return StoreUnavailable(
            f"the disk of the Nix store is full: {one_line(reason, _REASON_LIMIT)}"
        )
    if log.failed and log.built(log.failed):
        return _builder_failure(log, finished, ignored)
    if faults := log.fetches.faults(attempt.missing):
        return _fault(attempt, faults, ignored)
    if not attempt.options.build:
        return _not_cached(attempt, finished, ignored)
    if is_other_system(reason) or is_refused(reason, finished):
        return BuildFailed(_with(failure_text(log, finished), ignored), derivation=log.failed)
    return StoreUnavailable(_with(f"Nix failed: {failure_text(log, finished)}", ignored))


def out_of_time(attempt: Attempt) -> RegistryError:
    """Diagnose an attempt that was stopped after its time."""
    log, options = attempt.log, attempt.options
    after = f"after {options.seconds:g} s (build_seconds of source {options.source})"
    ignored = ignored_signature(attempt)
    fetching = log.fetches.running
    if fetching and not log.building:
        path, cache = fetching[0]
        return DownloadFailed(f"{cache} had not sent {path} {after}", host=cache, path=path)
    if not log.building and (faults := log.fetches.faults(attempt.missing)):
        return _fault(attempt, faults, ignored)
    building = f" while building {log.building[0]}" if log.building else ""
    return BuildTimedOut(
        _with(f"build stopped {after}{building}", ignored),
        {"derivations": list(log.building), "seconds": options.seconds},
    )


def ignored_signature(attempt: Attempt) -> str:
    """Describe a store path that Nix ignored because of its signature; "" if there is none."""
    unsigned = attempt.log.fetches.unsigned
    if not unsigned:
        return ""
    path = next((path for path in attempt.wanted if path in unsigned), next(iter(unsigned)))
    more = f", nor {len(unsigned) - 1} others" if len(unsigned) > 1 else ""
    keys = attempt.signers.get(path)
    if keys == ():
        return f"{unsigned[path]}: {path} is not signed{more}"
    signature = f"the signature by {', '.join(keys[:2])}" if keys else "no signature"
    verb = "is not trusted" if keys else "is trusted"
    return f"{unsigned[path]}: {signature} of {path} {verb}{more} (trusted-public-keys)"


def _builder_failure(log: BuildLog, finished: Finished, ignored: str) -> RegistryError:
    for url, why in log.fetches.other_failures:
        if url and _TRANSIENT_DOWNLOAD.search(why):
            return DownloadFailed(
                f"{url} failed while {log.failed} was built: {one_line(why, _REASON_LIMIT)}",
                host=url,
            )
    return BuildFailed(
        _with(failure_text(log, finished), ignored),
        derivation=log.failed,
        log=log.log(log.failed),
    )


def _fault(attempt: Attempt, faults: Sequence[Fault], ignored: str) -> DownloadFailed:
    """Prefer the fault of a wanted path, and complete a path that Nix named by its hash."""
    named = [(fault, _path(attempt, fault)) for fault in faults]
    fault, path = next(((f, path) for f, path in named if path in attempt.wanted), named[0])
    message = f"{fault.cache} failed to send {path}: {one_line(fault.reason, _REASON_LIMIT)}"
    if ignored:
        message = f"{message}; {ignored}"
    return DownloadFailed(message, host=fault.cache, path=path)


def _path(attempt: Attempt, fault: Fault) -> str:
    wanted, missing = attempt.wanted, attempt.missing
    if fault.path.startswith("/"):
        return fault.path
    absent = [path for path in wanted if path in missing] or list(wanted)
    if not fault.path:
        return absent[0]
    prefix = f"/nix/store/{fault.path}"
    return next((path for path in (*wanted, *missing) if path.startswith(prefix)), prefix)


def _not_cached(attempt: Attempt, finished: Finished, ignored: str) -> RegistryError:
    """Return the error for paths that no cache has: wanted outputs first, then their references."""
    log, wanted, missing = attempt.log, attempt.wanted, attempt.missing
    source = attempt.options.source
    absent = [path for path in wanted if path in missing and path not in log.fetches.unsigned]
    absent += [path for path in log.unknown if path not in wanted]
    only = f"source {source} only serves what a binary cache has (build = false)"
    detail: dict[str, object] = {"paths": [*absent, *log.fetches.unsigned]}
    if ignored:
        return NotCached(f"{only}: {ignored}", detail)
    if not absent:
        return StoreUnavailable(f"Nix failed: {failure_text(log, finished)}")
    names = ", ".join(StorePath.parse(path).name for path in absent[:_SHOWN])
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    return NotCached(f"{only}; not there: {names}{more}", detail)


def _with(message: str, ignored: str) -> str:
    """Put the ignored signature first: it is the reason for the build."""
    if not ignored:
        return message
    room = max(_MESSAGE_LIMIT - len(ignored), _LEAST)
    return f"{ignored}; {excerpt_for_client(_HASH.sub('', message), room)}"
