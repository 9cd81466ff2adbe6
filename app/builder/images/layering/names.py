"""What a package is called from one release to the next: its name without hash and version."""

import re

# Nix, builtins.parseDrvName: the version begins after the first dash that no letter follows.
_VERSION = re.compile(r"-[^a-zA-Z/]")
# Outputs besides "out" end the store path's name: openssl-3.0.8-bin.
_OUTPUT = re.compile(r"-[a-zA-Z_]+$")


def unversioned(name: str) -> str:
    """``openssl-3.0.8-bin`` to ``openssl-bin``; a name without a version stays as it is.

    A pre-release word at the end (``-beta``) is taken for an output.  That costs nothing: the
    package merely has a name of its own while it is one.
    """
    version = _VERSION.search(name, 1)
    if version is None:
        return name
    output = _OUTPUT.search(name, version.end())
    return name[: version.start()] + (output.group() if output else "")
