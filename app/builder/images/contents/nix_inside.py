"""The state of Nix in an image: the database of its paths, a profile, roots, and build users."""

from collections.abc import Iterable, Sequence

from app.builder.images.contents.additions import Additions
from app.builder.images.contents.claims import Package
from app.builder.images.contents.config import ENVIRONMENT
from app.builder.images.contents.file_tree import Tree
from app.builder.images.contents.nix_database import SCHEMA, nix_database
from app.builder.images.contents.users import GROUPS, NONROOT_UID, USERS, with_users
from app.builder.images.packing.entry import Directory, Entry, File, Symlink
from app.builder.nix.closure import Closure
from app.builder.nix.store import UnsupportedTree
from app.system.blocking import blocking

_STATE = b"nix/var/nix"
_PROFILE = "/nix/var/nix/profiles/default"
# Last: an interpreter of the profile would not find the image's libraries.
_ENVIRONMENT = {"NIX_PROFILE": _PROFILE, "PATH": f"{ENVIRONMENT['PATH']}:{_PROFILE}/bin"}
_GROUP_ID, _BUILDERS = 30000, 8
_CONFIGURATION = b"experimental-features = nix-command flakes\n"
# Packages installed later take precedence: their priority is 5 by default, and lower is first.
_FIRST_PRIORITY = 1000
# Store paths and their references: ten seconds of work, and 18 MB.
_MOST_ROWS = 200_000
# Nix creates these; a user who is not root could not.
_DIRECTORIES = (
    b"nix/store/.links",
    b"nix/var",
    *(
        _STATE + name
        for name in (
            b"",
            b"/db",
            b"/gcroots",
            b"/gcroots/image",
            b"/gcroots/per-user",
            b"/image",
            b"/image/bin",
            b"/profiles",
            b"/profiles/per-user",
            b"/temproots",
        )
    ),
)


def has_nix(packages: Iterable[Package]) -> bool:
    """Return whether one of the packages has ``bin/nix-store``."""
    return any(map(_is_nix, packages))


@blocking
def nix_additions(packages: Sequence[Package], closure: Closure, *, nonroot: bool) -> Additions:
    """Return the state of Nix, for packages that include Nix.

    With ``nonroot`` the state belongs to that user.  Raises UnsupportedTree beyond the bound.
    """
    rows = sum(1 + len(item.references) for item in closure.objects.values())
    if rows > _MOST_ROWS:
        raise UnsupportedTree(f"Nix's database would have more than {_MOST_ROWS:,} rows")
    uid = NONROOT_UID if nonroot else 0
    ordered = sorted(packages, key=lambda item: (item.priority, item.path.name, item.path.base))
    files = {
        b"/db/db.sqlite": nix_database(closure),
        b"/db/schema": SCHEMA,
        b"/image/manifest.nix": _manifest(ordered),
        # A file is a root of the path that has its name.
        **{b"/gcroots/image/" + item.path.base.encode(): b"" for item in packages},
    }
    builders = range(1, _BUILDERS + 1)
    lines = "".join(
        f"nixbld{n}:x:{_GROUP_ID + n}:{_GROUP_ID}:nixbld{n}:/var/empty:/bin/false\n"
        for n in builders
    )
    members = ",".join(f"nixbld{n}" for n in builders)
    entries: tuple[Entry, ...] = (
        *(Directory(name, uid=uid, gid=uid) for name in _DIRECTORIES),
        *(File(_STATE + name, content, uid=uid, gid=uid) for name, content in files.items()),
        # A profile is a link to its newest generation, which Nix replaces.
        Symlink(_STATE + b"/profiles/default", b"default-1-link"),
        Symlink(_STATE + b"/profiles/default-1-link", b"../image"),
        Symlink(_STATE + b"/gcroots/profiles", b"../profiles"),
        File(b"etc/nix/nix.conf", _CONFIGURATION),
        File(b"etc/passwd", with_users(USERS, lines).encode()),
        File(b"etc/group", f"{GROUPS}nixbld:x:{_GROUP_ID}:{members}\n".encode()),
    )
    return Additions(entries, _ENVIRONMENT)


def _is_nix(package: Package) -> bool:
    root = package.file_tree.root
    programs = root.children.get(b"bin") if isinstance(root, Tree) else None
    return isinstance(programs, Tree) and b"nix-store" in programs.children


def _manifest(packages: Sequence[Package]) -> bytes:
    """Return the profile's packages, as ``nix-env`` writes them; a store path needs no quoting."""
    elements = "".join(
        f'  {{ name = "{item.path.name}"; type = "derivation"; outputs = [ "out" ];\n'
        f'    outPath = "{item.path}"; out = {{ outPath = "{item.path}"; }};\n'
        f"    meta = {{ priority = {_FIRST_PRIORITY + place}; }}; }}\n"
        for place, item in enumerate(packages)
    )
    return f"[\n{elements}]\n".encode()
