"""Files that programs of other distributions look for: the C library's loader, and libraries.

A loader in the Nix store searches no directory of the system.  An image with a C library gets a
copy that does, at the loader's usual place; programs of the store name their own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.builder.images.contents.additions import Additions
from app.builder.images.contents.claims import Package
from app.builder.images.contents.file_tree import FileTree, RegularFile, Tree
from app.builder.images.contents.library_cache import CACHE, library_cache
from app.builder.images.packing.entry import Entry, File, Symlink
from app.builder.nix.closure import StorePath

# The real ones have 0.2 MiB.
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Loader:
    """The dynamic loader of one architecture, as other distributions have it.

    ``directory`` is where their programs look for it.  ``flags`` are those of its libraries in the
    loader's cache (glibc: sysdeps/generic/ldconfig.h).
    """

    name: bytes
    directory: bytes
    triplet: bytes
    flags: int


# The directories are those of each architecture's ABI.
LOADERS = (
    Loader(b"ld-linux-x86-64.so.2", b"lib64", b"x86_64-linux-gnu", 0x0303),
    Loader(b"ld-linux-aarch64.so.1", b"lib", b"aarch64-linux-gnu", 0x0A03),
)
# Scripts that check a system, as the VS Code server's, look for these below /usr.
_LIBRARIES = (
    *(b"libc.so.6", b"libdl.so.2", b"libgcc_s.so.1", b"libm.so.6", b"libpthread.so.0"),
    *(b"librt.so.1", b"libstdc++.so.6", b"libz.so.1"),
)
_USUAL = (b"usr/lib", b"usr/lib64")

# Takes a store path, and a file's place in it.
ReadBytes = Callable[[StorePath, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Adopted:
    """The packages of an image, and the files for programs of other distributions.

    ``packages`` are those given, without the loader that the additions replace.
    """

    packages: tuple[Package, ...]
    additions: Additions


async def compose_loader(packages: Sequence[Package], read: ReadBytes) -> Adopted:
    """Compose the loader of the first package that has one.  Raises what ``read`` raises."""
    ordered = sorted(packages, key=lambda item: (item.priority, item.path.name, item.path))
    found = next(
        (
            (package, loader)
            for package in ordered
            for loader in LOADERS
            if isinstance(_libraries(package).get(loader.name), RegularFile)
        ),
        None,
    )
    if found is None:
        return Adopted(tuple(packages), Additions())
    package, loader = found
    content = await read(package.path, b"lib/" + loader.name)
    entries: list[Entry] = [
        File(loader.directory + b"/" + loader.name, adapted(content, loader, package.path), 0o755)
    ]
    if loader.directory != b"lib":
        place = b"../" + loader.directory + b"/" + loader.name
        entries.append(Symlink(b"lib/" + loader.name, place))
    present = {name for item in packages for name in _libraries(item)}
    libraries = [name for name in _LIBRARIES if name in present]
    for directory in _USUAL:
        entries += (Symlink(b"%b/%b" % (directory, n), b"../../lib/" + n) for n in libraries)
    if any(_has_ldconfig(item) for item in packages):
        entries.append(File(CACHE, library_cache(libraries, loader.flags)))
    return Adopted(
        tuple(_without(item, loader.name) for item in packages), Additions(tuple(entries))
    )


def adapted(content: bytes, loader: Loader, path: StorePath) -> bytes:
    """Return the loader with the directories and the cache of other distributions.

    Each name is replaced by one of the same length, which is compiled into the loader.  In the
    embedded package set these names are dashes (nix/debian/builder/adjustments.py), in nixpkgs the
    directories of the C library itself.
    """
    usual = [
        *(b"/lib/%b/" % loader.triplet, b"/usr/lib/%b/" % loader.triplet),
        *(b"/lib/", b"/usr/lib/"),
    ]
    dashes = (b"/" + b"-" * (len(directory) - 2) + b"/" for directory in usual)
    content = content.replace(_strings(*dashes), _strings(*usual))
    content = content.replace(b"/-/no-so-cache--\0", b"/etc/ld.so.cache\0")
    own = str(path).encode()
    for directory in (b"/lib/\0", b"/lib64/\0"):
        old = own + directory
        content = content.replace(old, b"/lib".ljust(len(old) - 1, b"/") + b"\0")
    cache = own + b"/etc/ld.so.cache\0"
    return content.replace(cache, b"/etc/ld.so.cache".ljust(len(cache), b"\0"))


def _strings(*values: bytes) -> bytes:
    return b"".join(value + b"\0" for value in values)


def _libraries(package: Package) -> dict[bytes, object]:
    return dict(_children(package, b"lib"))


def _children(package: Package, directory: bytes) -> dict[bytes, object]:
    root = package.file_tree.root
    node = root.children.get(directory) if isinstance(root, Tree) else None
    return dict(node.children) if isinstance(node, Tree) else {}


def _has_ldconfig(package: Package) -> bool:
    return any(b"ldconfig" in _children(package, place) for place in (b"bin", b"sbin"))


def _without(package: Package, loader: bytes) -> Package:
    """Return the package without its loader in lib."""
    root = package.file_tree.root
    if loader not in _children(package, b"lib"):
        return package
    assert isinstance(root, Tree)
    library = root.children[b"lib"]
    assert isinstance(library, Tree)
    kept = {name: child for name, child in library.children.items() if name != loader}
    tree = FileTree(Tree({**root.children, b"lib": Tree(kept)}), package.file_tree.linked)
    return Package(package.path, tree, package.priority)
