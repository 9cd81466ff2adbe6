"""An untrusted package set that wants another source's files in its own images."""

import gzip
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.server import Server

SECRET = "swordfish"
# A name in a directory of the other source's.
SECRET_NAME = "treasure-map"
_SET = Path(__file__).resolve().parents[1] / "nix" / "hostile" / "forging"

_CLAIMED = "its outPath is not an output of its derivation"
_NOT_MADE = "its drvPath is not the derivation that its drvAttrs make"
_NO_ATTRIBUTES = "a package without drvAttrs is refused"
_NAMED = r"a file named '\*\.drv' is refused"
_NAMED_BY_NIX = r"(file|store path) names are not allowed to end in '\.drv'|must not end in .*\.drv"
_RESTRICTED = "forbidden in restricted mode"
_OTHER_HASH = "do not have the given sha256"
_BUILD_FAILED = r"copies\.drv failed"
_UNREADABLE = "[Cc]ould(n't| not) (read|open) a? ?file|No such file or directory"
_NO_EXPORT = "cannot export references of path"


def _lacking(name: str) -> str:
    return f"{name} is refused|attribute '{name}' missing"


def _with(attribute: str) -> str:
    return f"a derivation with {attribute} is refused"


# The reason given for each attack, by a pattern that holds for every Nix.
FORGING = {
    "claims": _CLAIMED,
    "claims-with-context": _CLAIMED,
    "claims-output": _CLAIMED,
    "claims-by-output": _CLAIMED,
    "claims-bare": _NO_ATTRIBUTES,
    "claims-attributes": _NOT_MADE,
    "claims-second.dev": _CLAIMED,
    "claims-by-function": "invalid package",
    "claims-derivation": _NOT_MADE,
    "claims-derivation-with-context": _NOT_MADE,
    "claims-derivation-bare": _NO_ATTRIBUTES,
    "forges": _NAMED,
    "forges-bare": _NAMED,
    "forges-by-path": _NAMED,
    "forges-by-path-of-text": _NAMED,
    "forges-by-filter": _NAMED,
    "forges-by-interpolation": _NAMED_BY_NIX,
    "forges-without-context": _NAMED,
    "forges-attributes": _NAMED,
    "imports": _NAMED,
    "imports-as-input": _NAMED,
    "imports-in-scope": _NAMED,
    "imports-by-path": _NAMED,
    "imports-by-interpolation": _NAMED_BY_NIX,
    "imports-by-link": _RESTRICTED,
    "imports-by-link-in-scope": _RESTRICTED,
    "imports-by-detour": _NAMED,
    "imports-by-underscores": _NAMED,
    "depends": _lacking("addDrvOutputDependencies"),
    "depends-on-output": _lacking("outputOf"),
    "appends": _lacking("appendContext"),
    "appends-output": _lacking("appendContext"),
    "names-path": _lacking("storePath"),
    "names-path-as-path": _RESTRICTED,
    "names-text": _BUILD_FAILED,
    "names-text-with-context": _BUILD_FAILED,
    "names-text-in-attributes": _BUILD_FAILED,
    "exports-references": _NO_EXPORT,
    "exports-references-structured": _NO_EXPORT,
    "reads-by-hash": _OTHER_HASH,
    "copies-by-hash": _OTHER_HASH,
    "copies-flat-by-hash": _OTHER_HASH,
    "no-chroot": _with("__noChroot"),
    "no-chroot-structured": _with("__noChroot"),
    "no-chroot-by-attributes": f"{_with('__noChroot')}|{_NOT_MADE}",
    "no-chroot-hidden": _with("__json"),
    "no-chroot-strict": _with("__noChroot"),
    "impure": _with("__impure"),
    "recursive": _with("recursive-nix"),
    "recursive-text": _with("recursive-nix"),
    "recursive-as-input": _with("recursive-nix"),
    "recursive-structured": _with("recursive-nix"),
    "host-paths": _with("__impureHostDeps"),
    "host-paths-structured": _with("__impureHostDeps"),
    "makes-pipe": "has an unsupported type",
    "forges-messages": r"messages\.drv failed with exit code 1",
    "content-addressed": "feature 'ca-derivations' is disabled",
    "fetches-file": _UNREADABLE,
    "merges": _UNREADABLE,
    "attributes-functor": "cannot coerce a function to a string",
    "attributes-of-another": _NOT_MADE,
    "output-as-derivation": _NOT_MADE,
}
# These are refused to every source.
CLAIMING = ("claims", "claims-with-context", "claims-output", "claims-by-output", "claims-bare")
HONEST = (
    "fine",
    "hashed",
    "hashed-flat",
    "filtered",
    "noted",
    "shadowing",
    "several",
    "structured",
)

_OWN = "own text\n"
_BUILD = """
let
  place = builtins.fromJSON (builtins.readFile ./place.json);
  package = name: script: derivation {
    inherit name; inherit (place) salt;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
in
"""
_KEEPER = f"""{_BUILD}
{{ ... }}: {{
  cacert = package "cacert" "echo > $out";
  iana-etc = package "iana-etc" "echo > $out";
  treasure = package "treasure" "echo {SECRET} > $out";
  chest = package "chest" "/bin/mkdir $out; echo > $out/{SECRET_NAME}";
}}
"""
# An honest derivation, made where a store path may be named: its text is what is forged.
_FORGED = f"""{_BUILD}
{{ secret }}: package "forged" "read line < ${{builtins.storePath secret}}; echo $line > $out"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A package set with a secret, and the set of a forger that tries to copy it.

    ``output`` is where the forged derivation would put the secret.
    """

    keeper: Path
    tree: Path
    output: str


def lay_out(directory: Path, nix: Callable[..., str]) -> Place:
    """The other source's set and the forger's; ``nix`` runs one of Nix's programs."""
    keeper, tree = directory / "keeper", directory / "forger"
    keeper.mkdir()
    salt = {"salt": uuid.uuid4().hex}
    for name, text in (
        ("place.json", json.dumps(salt)),
        ("default.nix", _KEEPER),
        ("forged.nix", _FORGED),
        ("noted", f"{SECRET} {salt['salt']}\n"),
        ("noted-flat", f"{SECRET} {salt['salt']}\n"),
        ("own", _OWN),
    ):
        (keeper / name).write_text(text)

    def made(attribute: str) -> tuple[str, str]:
        derivation = nix("nix-instantiate", str(keeper), "--arg", "x", "1", "-A", attribute).strip()
        return derivation, nix("nix-store", "--realise", derivation).strip()

    derivation, secret = made("treasure")
    _, secret_directory = made("chest")
    forged = nix("nix-instantiate", str(keeper / "forged.nix"), "--argstr", "secret", secret)
    text = nix("cat", forged.strip())
    output = nix("nix-store", "--query", "--outputs", forged.strip()).strip()
    nix("nix-store", "--add-fixed", "--recursive", "sha256", str(keeper / "noted"))
    nix("nix-store", "--add-fixed", "sha256", str(keeper / "noted-flat"))

    shutil.copytree(_SET, tree)
    for name in ("forged.txt", "forged.drv"):
        (tree / name).write_text(text)
    (tree / "own.txt").write_text(_OWN)
    (tree / "link.nix").symlink_to(_file_of(nix, tree / "forged.txt"))
    place = {
        **salt,
        "secret": secret,
        "secret-directory": secret_directory,
        "derivation": derivation,
        "forged": text,
        "output": output,
        "queried": str(directory / "queried"),
        "hash": _hash(nix, keeper / "noted"),
        "flatHash": _hash(nix, keeper / "noted-flat", "--flat"),
        "ownHash": _hash(nix, keeper / "own"),
        "ownFlatHash": _hash(nix, keeper / "own", "--flat"),
    }
    (tree / "place.json").write_text(json.dumps(place))
    return Place(keeper, tree, output)


def _file_of(nix: Callable[..., str], text: Path) -> str:
    """The store path that Nix gives the forged file, which is valid from now on."""
    expression = f'builtins.toFile "forged.drv" (builtins.readFile {text})'
    made = nix("nix-instantiate", "--eval", "--read-write-mode", "--expr", expression)
    path: str = json.loads(made)
    return path


def _hash(nix: Callable[..., str], file: Path, *options: str) -> str:
    return nix("nix-hash", "--type", "sha256", *options, str(file)).strip()


def settings(place: Place) -> str:
    """Of a server that has the keeper as its default source.

    The sources that may not build are evaluated without derivation files.
    """
    return "".join(
        f'[[sources]]\nname = "{name}"\nkind = "path"\nlocation = "{place.tree}"\n'
        f"trusted = {trusted}\nsubstituters = []\nbuild = {build}\n"
        for name, trusted, build in (
            ("forger", "false", "true"),
            ("forger-cached", "false", "false"),
            ("careless", "true", "true"),
            ("careless-cached", "true", "false"),
        )
    )


def permissive() -> str:
    """Nix with a sandbox, and with every feature that would lead out of it."""
    return """
sandbox = true
sandbox-paths = /bin=/usr/bin /lib=/usr/lib /lib64=/usr/lib64 /usr
allowed-impure-host-deps = /nix/store
extra-experimental-features = nix-command flakes ca-derivations dynamic-derivations
extra-experimental-features = impure-derivations recursive-nix
system-features = recursive-nix kvm
substitute = false
build-users-group =
"""


@contextmanager
def server(
    place: Place, home: Path, within: Sequence[str] = (), **variables: str
) -> Iterator[Server]:
    """A server that has packed what the forger wants, and the rest of the forger's images."""
    (home / "nixery.toml").write_text(settings(place))
    server = Server(
        home / "server",
        place.keeper,
        within=within,
        NIX_CONFIG=permissive(),
        NIXERY_CONFIG=str(home / "nixery.toml"),
        **variables,
    ).start()
    assert SECRET.encode() in image_bytes(server, "treasure")
    for source in ("forger", "careless", "forger-cached"):
        server.digest(f"{source}/fine")
    yield server
    server.stop()


def expect_refusal(server: Server, place: Place, attack: str) -> None:
    """With a reason that helps no forger."""
    answer = server.get(f"/v2/forger/{attack}/manifests/latest")
    # An error of Nix's that names no derivation is taken for one of the store's.
    assert answer.status_code == 403, answer.text
    message = answer.json()["errors"][0]["message"]
    assert re.search(FORGING[attack], message), message
    assert SECRET not in answer.text
    # A builder that forges messages of Nix names a store there.
    assert not (place.tree.parent / "queried").exists()
    assert Path(place.output).name[:32] not in answer.text


def expect_no_claim(server: Server, attack: str) -> None:
    """Neither where nothing is built nor for a source that is trusted."""
    for source, expected in (
        ("forger-cached", FORGING[attack]),
        ("careless", _CLAIMED),
        ("careless-cached", _CLAIMED),
    ):
        answer = server.get(f"/v2/{source}/{attack}/manifests/latest")
        assert answer.status_code == 403, answer.text
        assert re.search(expected, answer.json()["errors"][0]["message"]), answer.text


def expect_nothing_without_derivations(server: Server, place: Place) -> None:
    """The same attacks where the evaluation has to know the outputs itself."""
    for attack, reason in FORGING.items():
        answer = server.get(f"/v2/forger-cached/{attack}/manifests/latest")

        assert answer.status_code == 403, answer.text
        message = answer.json()["errors"][0]["message"]
        assert re.search(f"{reason}|only serves what a binary cache has", message), message
        assert SECRET not in answer.text
        assert Path(place.output).name[:32] not in answer.text


def image_bytes(server: Server, name: str) -> bytes:
    """All layers of the image, unpacked, one after another."""
    manifest = server.get(f"/v2/{name}/manifests/latest")
    assert manifest.status_code == 200, manifest.text
    layers = manifest.json()["layers"]
    blobs = (server.get(f"/v2/{name}/blobs/{layer['digest']}").content for layer in layers)
    return b"".join(map(gzip.decompress, blobs))
