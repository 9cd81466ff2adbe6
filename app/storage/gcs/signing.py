"""Google credentials that can also sign addresses, with a private key or without one."""

from typing import Any

import google.auth
from google.auth import iam
from google.auth.credentials import AnonymousCredentials, Signing
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from app.errors import StorageUnavailable
from app.system.blocking import blocking

# The second is for signBlob.  The roles of the account decide what it may do.
_SCOPES = (
    "https://www.googleapis.com/auth/devstorage.read_write",
    "https://www.googleapis.com/auth/cloud-platform",
)


@blocking
def find_credentials() -> Any:  # noqa: ANN401  # google-auth has no common typed base for them
    """Return the credentials of a key file (GOOGLE_APPLICATION_CREDENTIALS) or of the machine.

    Raise StorageUnavailable with advice for the operator.
    """
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        raise StorageUnavailable(
            "no Google credentials: run on a machine with a service account, or name a key file"
            " in GOOGLE_APPLICATION_CREDENTIALS"
        ) from error
    return credentials


@blocking
def signing(credentials: Any) -> Signing:  # noqa: ANN401  # as above
    """Return a signer.  Raise StorageUnavailable unless the account is a service account."""
    if isinstance(credentials, Signing) and not isinstance(credentials, AnonymousCredentials):
        return credentials
    request = Request()
    try:
        # The credentials of a machine have its account's name only after the first token.
        credentials.refresh(request)
    except GoogleAuthError as error:
        raise StorageUnavailable("Google gives no token for these credentials") from error
    email = getattr(credentials, "service_account_email", None)
    if not email:
        raise StorageUnavailable(
            "these Google credentials do not belong to a service account, so addresses cannot be signed"
        )
    signer = iam.Signer(request, credentials, email)  # type: ignore[no-untyped-call]  # theirs
    return _SignedByGoogle(signer, email)


class _SignedByGoogle(Signing):
    """Sign by IAM's signBlob, which needs roles/iam.serviceAccountTokenCreator on the account.

    The client library can do this too, but opens a connection for each signature.
    """

    def __init__(self, signer: iam.Signer, email: str) -> None:
        self._signer = signer
        self._email = email

    def sign_bytes(self, message: bytes) -> bytes:
        signature = self._signer.sign(message)
        assert isinstance(signature, bytes)
        return signature

    @property
    def signer_email(self) -> str:
        return self._email

    @property
    def signer(self) -> iam.Signer:
        return self._signer
