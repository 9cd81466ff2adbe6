"""An untrusted package set that tries to read a file of this machine, and a host that counts connections."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.process import succeed
from tests.unit.builder.sources.git.repository import Repository

SECRET = "swordfish"
_SET = Path(__file__).resolve().parents[1] / "nix" / "hostile" / "reaching"

_RESTRICTED = "forbidden in restricted mode"
_UNSEEN = "got nothing to be seen"
_NO_SEARCH = "was not found: a source that is not trusted has no search path"
# A Nix that does not have the builtin at all has its own words for that.
_LACKING = "attribute '{0}' missing"


def _refused(name: str) -> str:
    return f"{name} is refused to a source that is not trusted|{_LACKING.format(name)}"


# What each attack is answered, by a pattern that holds for every Nix.
READING = {
    "read-file": _RESTRICTED,
    "read-file-by-link": _RESTRICTED,
    "read-file-in-link": _RESTRICTED,
    "read-file-type": f"{_RESTRICTED}|{_LACKING.format('readFileType')}",
    "read-directory": _RESTRICTED,
    "read-directory-by-link": _RESTRICTED,
    "path-exists": _UNSEEN,
    "path-exists-in-link": _UNSEEN,
    "hash-file": _RESTRICTED,
    "import-file": _RESTRICTED,
    "import-in-link": _RESTRICTED,
    "copy": _RESTRICTED,
    "copy-by-path": _RESTRICTED,
    "copy-in-link": _RESTRICTED,
    "copy-by-filter": _RESTRICTED,
    "find-file": _NO_SEARCH,
    "find-file-in-search-path": _NO_SEARCH,
    "find-file-by-address": _NO_SEARCH,
    "read-store": _RESTRICTED,
    "read-store-path": _refused("storePath"),
    "read-store-by-context": _refused("appendContext"),
    "fetchurl-file": _refused("fetchurl"),
    "fetchurl-link": _refused("fetchurl"),
    "fetchurl-escape": _refused("fetchurl"),
    "fetchtarball-file": _refused("fetchTarball"),
    "fetchtarball-link": _refused("fetchTarball"),
    "fetchtarball-escape": _refused("fetchTarball"),
    "fetchgit-file": _refused("fetchGit"),
    "fetchgit-bare": _refused("fetchGit"),
    "fetchtree-path": _refused("fetchTree"),
    "fetchtree-locked": _refused("fetchTree"),
    "fetchtree-git": _refused("fetchTree"),
    "fetchtree-address": _refused("fetchTree"),
    "getflake-path": _refused("getFlake"),
    "executes": _refused("exec"),
    "loads": _refused("importNative"),
    "builds-while-evaluating": "allow-import-from-derivation",
}
CALLING = {
    "gets-fetchurl": _refused("fetchurl"),
    "gets-fetchtarball": _refused("fetchTarball"),
    "gets-fetchgit": _refused("fetchGit"),
    "gets-fetchmercurial": _refused("fetchMercurial"),
    "gets-fetchtree": _refused("fetchTree"),
    "gets-fetchtree-indirect": _refused("fetchTree"),
    "gets-fetchtree-github": _refused("fetchTree"),
    "gets-getflake": _refused("getFlake"),
    "gets-fetchclosure": _refused("fetchClosure"),
    "gets-search-path": _NO_SEARCH,
    "gets-channel": _NO_SEARCH,
    "gets-store-path": _refused("storePath"),
    "gets-context": _refused("appendContext"),
}
# All that any Nix has and a stranger has not; a name that is new here is to be thought about.
ALWAYS_REFUSED = {
    "appendContext",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchurl",
    "storePath",
    "unsafeDiscardOutputDependency",
}
EVER_REFUSED = ALWAYS_REFUSED | {
    "addDrvOutputDependencies",
    "exec",
    "fetchClosure",
    "fetchTree",
    "flakeRefToString",
    "getFlake",
    "importNative",
    "outputOf",
    "parseFlakeRef",
}


class Listener:
    """Count connections, and respond to none."""

    def __init__(self, listening: socket.socket) -> None:
        self.heard = 0
        self.host = f"127.0.0.1:{listening.getsockname()[1]}"
        self._listening = listening
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.heard += 1
            connection.close()


@contextmanager
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Listener(listening)
        listening.shutdown(socket.SHUT_RDWR)


def lay_out(directory: Path, host: str) -> Path:
    """The stranger's tree, and beside it ``outside`` with what it wants."""
    outside, tree = directory / "outside", directory / "tree"
    (outside / "top").mkdir(parents=True)
    for place in (outside, outside / "top"):
        (place / "secret").write_text(f"{SECRET}\n")
    (outside / SECRET).touch()
    (outside / "set.nix").write_text(f'"{SECRET}"')
    (outside / "flake.nix").write_text("{ outputs = { self }: { }; }")
    succeed("tar", "-C", str(outside), "-czf", str(outside / "archive.tar.gz"), "top")
    repository = Repository(outside / "repository")
    repository.commit(f"{SECRET}\n", "secret")

    shutil.copytree(_SET, tree)
    (tree / "link").symlink_to(outside / "secret")
    (tree / "directory-link").symlink_to(outside)
    # A name that Nix takes as it stands, and a downloader for "..".
    (tree / "%2e%2e" / "outside").mkdir(parents=True)
    for name in ("secret", "archive.tar.gz"):
        (tree / "%2e%2e" / "outside" / name).touch()
    bare = tree / "bare.git"
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(bare))
    shutil.rmtree(bare / "objects")
    (bare / "objects").symlink_to(repository.path / ".git" / "objects")
    point(tree, outside=outside, host=host)
    return tree


def point(tree: Path, *, outside: Path, host: str, stored: str = "/nix/store/x") -> None:
    """Write the addresses for the set; ``stored`` is a store path with the secret."""
    place = {
        "outside": str(outside),
        "host": host,
        "address": f"http://{host}",
        "stored": stored,
    }
    (tree / "place.json").write_text(json.dumps(place))


def permissive(outside: Path, host: str) -> str:
    """A configuration of Nix that opens every door it can."""
    return "\n".join(
        (
            "experimental-features = flakes fetch-tree fetch-closure dynamic-derivations",
            "allow-unsafe-native-code-during-evaluation = true",
            "allow-import-from-derivation = true",
            "restrict-eval = false",
            "allowed-uris = http: https: file: path: git: git+file: github: flake:",
            f"nix-path = outside={outside}",
            f"substituters = http://{host}",
            "substitute = true",
            "download-attempts = 1",
        )
    )
