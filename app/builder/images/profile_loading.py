"""Load layer profiles once at start-up: those that come with the server, or the operator's own.

The response of a URL is kept in storage.  A server that starts while the URL does not respond uses
this copy, and so makes the same layers as before.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from anyio import fail_after, to_thread
from loguru import logger
from pydantic import TypeAdapter

from app.builder.images.layering.choice import LayerProfiles
from app.builder.images.layering.profile import LayerProfile, ProfileInvalid, parse_profile
from app.errors import OperatorError, StorageUnavailable
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.blocking import blocking
from app.text.sanitize import one_line

# The profile of all of nixpkgs is about 3 MB, as is its popularity data.  Reading one takes up to
# thirty times its size in memory.
SIZE_LIMIT = 16_000_000
SECONDS = 60.0
_SHOWN = 300

# The text of a profile, as its URL returned it.
PLANS = Kind(name="plans", format=2, adapter=TypeAdapter(str))


class ProfileUnavailable(OperatorError):
    """The profile cannot be loaded; the message has the URL or file, the reason, and a remedy."""


class ProfileUnreadable(Exception):
    """The message is the reason."""


@blocking
def shipped_profiles(directory: Path) -> LayerProfiles:
    """Load all plan files of a directory.  Raises ProfileUnavailable."""
    profiles = []
    for path in sorted(directory.glob("*.json")):
        try:
            profiles.append(parse_profile(path.read_bytes()))
        except (OSError, ProfileInvalid) as error:
            raise _unavailable(path.name, str(error)) from None
    return LayerProfiles.shipped(profiles)


async def load_profile(source: str, storage: Storage) -> LayerProfile:
    """Load from an http or https URL, or a file.  Raises ProfileUnavailable."""
    if not source.lower().startswith(("http://", "https://")):
        _, plan = await _load(partial(to_thread.run_sync, _read, Path(source)), source)
        return plan
    # Importing httpx takes 4 MB of memory, and most servers do not need it.
    from app.builder.images.profile_download import download, shown_url  # noqa: PLC0415  # see above

    try:
        shown = shown_url(source)
    except ValueError as error:
        bare = source.partition("?")[0].rpartition("@")[2]
        raise _unavailable(bare, str(error)) from None
    records, key = Records(storage=storage, kind=PLANS), PLANS.key(url=source)
    try:
        document, plan = await _load(partial(download, source), shown)
    except ProfileUnavailable as error:
        last = await records.read(key)
        if last is None:
            raise
        try:
            plan = parse_profile(last.encode())
        except ProfileInvalid:
            raise error from None
        logger.warning("using the stored copy of the layer plan: {}", error)
        return plan
    try:
        await records.write(key, document.decode())
    except StorageUnavailable as error:
        logger.warning("the layer plan cannot be kept for the next start: {}", error)
    return plan


async def _load(read: Callable[[], Awaitable[bytes]], shown: str) -> tuple[bytes, LayerProfile]:
    """Return the document and the profile in it.  Raises ProfileUnavailable."""
    try:
        with fail_after(SECONDS):
            document = await read()
        return document, await to_thread.run_sync(parse_profile, document)
    except TimeoutError:
        reason = f"no complete response within {SECONDS:g} s"
    except ProfileUnreadable as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ProfileInvalid as error:
        reason = str(error)
    raise _unavailable(shown, reason)


def _unavailable(shown: str, reason: str) -> ProfileUnavailable:
    return ProfileUnavailable(
        f"cannot use the layer plan at {shown}: {one_line(reason, _SHOWN)}"
        " (it is optional: name another URL or file in NIXERY_PLAN, or unset it)"
    )


def check_size(body: bytes | bytearray) -> None:
    """Raise ProfileUnreadable for a body that is larger than any profile."""
    if len(body) > SIZE_LIMIT:
        raise ProfileUnreadable(f"it has more than {SIZE_LIMIT // 1_000_000} MB")


@blocking
def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(SIZE_LIMIT + 1)
    check_size(body)
    return body
