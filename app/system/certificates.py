"""Which authorities connections over TLS trust: the same for every kind of connection."""

import ssl
from pathlib import Path

# Where distributions keep their list; OpenSSL as Python has it may look elsewhere.
_LISTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def trusted_file() -> str:
    """Return the file of ``SSL_CERT_FILE``, or else the machine's list; "" if neither exists."""
    own = ssl.get_default_verify_paths().cafile
    return next((file for file in (own, *_LISTS) if file and Path(file).is_file()), "")


def trusting_context() -> ssl.SSLContext:
    """Return what Python's HTTP clients need to trust as git, curl and Nix do.

    Authorities of companies often lack extensions that Python requires from 3.13 on.
    """
    paths = ssl.get_default_verify_paths()
    # A directory that SSL_CERT_DIR names; that of OpenSSL is part of the machine's list.
    directory = paths.capath if paths.capath != paths.openssl_capath else None
    context = ssl.create_default_context(cafile=trusted_file() or None, capath=directory)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
