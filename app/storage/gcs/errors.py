"""Translate the exceptions of Google's library into the errors of a storage."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from app.errors import StorageUnavailable
from app.storage.base import ObjectNotFound
from app.system.disk import translate_disk_errors

FORBIDDEN = "the registry may not use its bucket; its operator has to grant it the permission"
_UNREACHABLE = "the registry's bucket does not respond; its operator finds the reason in the log"
# The exceptions of requests are OSErrors, but do not come from this machine's disk.
_FAILURES = (
    GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    requests.RequestException,
)


@contextmanager
def translate_bucket_errors() -> Iterator[None]:
    """Raise StorageUnavailable, with a message that does not name the bucket, in their place."""
    with translate_disk_errors():
        try:
            yield
        except Forbidden as error:
            raise StorageUnavailable(FORBIDDEN) from error
        except _FAILURES as error:
            raise StorageUnavailable(_UNREACHABLE) from error


@contextmanager
def translate_absence(key: str) -> Iterator[None]:
    """Raise ObjectNotFound where the library raises NotFound."""
    try:
        yield
    except NotFound:
        raise ObjectNotFound(key) from None
