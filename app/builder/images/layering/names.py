"""Package names without hash and version, which stay the same between releases."""

import re

# Nix, builtins.parseDrvName: the version begins after the first dash that no letter follows.
_VERSION = re.compile(r"-[^a-zA-Z/]")
# Outputs other than "out" end the store path's name: openssl-3.0.8-bin.
_OUTPUT = re.compile(r"-[a-zA-Z_]+$")


def unversioned(name: str) -> str:
    """Return ``openssl-bin`` for ``openssl-3.0.8-bin``; a name without a version is unchanged.

    A pre-release suffix such as ``-beta`` is read as an output: until the release, the package
    has a name of its own.
    """
    version = _VERSION.search(name, 1)
    if version is None:
        return name
    output = _OUTPUT.search(name, version.end())
    return name[: version.start()] + (output.group() if output else "")
