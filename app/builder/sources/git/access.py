"""The environment of git: the credentials of the source, and no others.

Git reads neither the user's nor the machine's configuration, and never prompts.  Credentials stay
in their files.
"""

import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.system.blocking import blocking
from app.system.environment import for_git

_ASKPASS = """#!/bin/sh
# Git calls this for credentials, so that they are neither arguments nor variables.
case "$1" in
  Username*) printf '%s\\n' "$NIXERY_GIT_USERNAME" ;;
  *) cat "$NIXERY_GIT_TOKEN_FILE" ;;
esac
"""
_CONFIGURATION = {
    "safe.directory": "*",  # the operator configured the repository; its owner does not matter
    "http.followRedirects": "false",  # a token is sent to no other host
    "http.lowSpeedLimit": "1",  # bytes a second; a working host sends progress every five seconds
    "http.lowSpeedTime": "60",
    "core.attributesFile": "/dev/null",
    "core.bigFileThreshold": "32m",  # larger files do not pass through memory
    "core.hooksPath": "/dev/null",
    "fetch.unpackLimit": "1",  # objects appear together: a killed git leaves no incomplete commit
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.version": "2",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ASKPASS": "true",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(_CONFIGURATION)},
    **{f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(_CONFIGURATION.values())},
}
_SSH = (
    "BatchMode=yes",
    "ConnectTimeout=30",
    "IdentityAgent=none",
    "ServerAliveInterval=20",
    "StrictHostKeyChecking=yes",
)


class GitAccess:
    """Access to the repository of one source.

    ``directory`` is for the program that prints the credentials for git.
    """

    def __init__(
        self,
        *,
        definition: GitDefinition | FlakeDefinition,
        environment: Mapping[str, str],
        directory: Path,
    ) -> None:
        self._definition = definition
        self._askpass = directory / "askpass"
        self.environment: Mapping[str, str] = {
            **_certificates(environment),
            **for_git(environment),
            **_ENVIRONMENT,
            **self._token(),
            "GIT_SSH_COMMAND": self._ssh(),
        }

    @blocking
    def prepare(self) -> None:
        """Write the program that prints the token; call this before git is started."""
        if self._definition.token_file is None or self._askpass.exists():
            return
        self._askpass.parent.mkdir(parents=True, exist_ok=True)
        # Several calls, and servers whose process has the same number in containers, may write it.
        new = self._askpass.with_name(f"askpass.{secrets.token_hex(8)}")
        new.write_text(_ASKPASS)
        new.chmod(0o700)
        new.rename(self._askpass)

    def _token(self) -> dict[str, str]:
        if self._definition.token_file is None:
            return {}
        return {
            "GIT_ASKPASS": str(self._askpass),
            "NIXERY_GIT_USERNAME": self._definition.username,
            "NIXERY_GIT_TOKEN_FILE": str(self._definition.token_file),
        }

    def _ssh(self) -> str:
        definition = self._definition
        options = list(_SSH)
        identity: list[str] = []
        if definition.ssh_key is not None:
            identity = ["-i", str(definition.ssh_key)]
            options.append("IdentitiesOnly=yes")
        if definition.known_hosts is not None:
            options.append(f'UserKnownHostsFile="{definition.known_hosts}"')
        arguments = [argument for option in options for argument in ("-o", option)]
        return shlex.join(["ssh", "-F", "none", *identity, *arguments])


def _certificates(environment: Mapping[str, str]) -> dict[str, str]:
    """Pass on the certificates of SSL_CERT_FILE, which Nix and channels use too."""
    file = environment.get("SSL_CERT_FILE")
    return {} if file is None else {"GIT_SSL_CAINFO": file}
