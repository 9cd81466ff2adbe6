"""The variables that each program sees: credentials only where they are needed.

Each environment is ``child_environment`` without the variables that a program does not need:

* git needs none of Nix's variables, whose configuration may contain tokens;
* the evaluation of an untrusted source needs no network, so neither tokens nor proxies, whose
  addresses may contain passwords;
* a build of an untrusted source may read variables of the process that builds it
  (``impureEnvVars``), so that process has no proxies whose address contains a password;
* downloads of Nix's own need no access tokens, which are for the sources of evaluations.

``app.builder.nix.programs.configuration`` moves the rest of NIX_CONFIG to a file.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from app.text.redact import without_credentials

# Variables of the server's environment that programs see: where programs and certificates are, and
# which store to use.  All others, such as secrets of other programs, are left out.
_ALLOWED = (
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NIX_CONF_DIR",
    "NIX_CONFIG",
    "NIX_DAEMON_SOCKET_PATH",
    "NIX_REMOTE",
    "NIX_SSL_CERT_FILE",
    "NO_PROXY",
    "PATH",
    "SSL_CERT_FILE",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)

_PROXIES = frozenset({"all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"})
_CONFIG = "NIX_CONFIG"
_NIX_STATE = "/nix/var/nix"
# Nix: src/libstore/globals.hh and src/libfetchers/fetch-settings.hh.
_TOKENS = re.compile(r"\s*(?:extra-)?access-tokens\s*=", re.IGNORECASE)


def child_environment(surroundings: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """Return a child's environment; ``home`` keeps it from reading files of a user."""
    chosen = {name: surroundings[name] for name in _ALLOWED if name in surroundings}
    return {
        "PATH": os.defpath,
        **chosen,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
    }


def for_git(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("NIX_")}


def for_untrusted_evaluation(environment: Mapping[str, str]) -> dict[str, str]:
    offline = {name: v for name, v in environment.items() if name.lower() not in _PROXIES}
    return _with_config(offline, lambda line: not _TOKENS.match(line) and not _is_secret(line))


def for_store(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of builds, downloads and queries of the store."""
    return _with_config(environment, lambda line: not _TOKENS.match(line))


def for_untrusted_build(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.lower() not in _PROXIES or not _is_secret(value)
    }


def is_built_by_daemon(environment: Mapping[str, str]) -> bool:
    """Return whether a daemon builds for Nix that does not trust this user; daemons trust root."""
    if os.geteuid() == 0:
        return False
    store = environment.get("NIX_REMOTE") or "auto"
    if store == "auto":
        return not os.access(_NIX_STATE, os.W_OK)
    return store.startswith(("daemon", "unix:"))


def without_config(environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the environment without NIX_CONFIG, and its value."""
    rest = dict(environment)
    return rest, rest.pop(_CONFIG, "")


def _with_config(environment: Mapping[str, str], is_kept: Callable[[str], bool]) -> dict[str, str]:
    """Return the environment with the kept lines of NIX_CONFIG, or without it if none are left."""
    kept, config = without_config(environment)
    config = "\n".join(filter(is_kept, config.splitlines()))
    return {**kept, _CONFIG: config} if config.strip() else kept


def _is_secret(line: str) -> bool:
    """Return whether a value has a credential, such as an address with a password."""
    return without_credentials(line) != line
