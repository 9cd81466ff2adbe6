"""The libraries that interpreters of an image find: those of its packages, and what these need.

A library refers to the libraries that it needs.  So the image merges the library directories of
all libraries that the named packages refer to, directly or through others, and no other files.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from app.builder.images.contents.additions import Additions, join
from app.builder.images.contents.claims import Package
from app.builder.images.contents.file_tree import FileTree, Node, Tree
from app.builder.images.contents.languages import COMPILED, LANGUAGES, NAMES, Language, Place
from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.store import UnsupportedTree

# Above the priority of any package: libraries that are only needed yield to those that are named,
# and farther ones to nearer ones.
_NEEDED = 1 << 40
# Store paths that are examined for one image.
_MOST_PATHS = 5000

ReadTree = Callable[[Sequence[StorePath]], Awaitable[Sequence[FileTree]]]


@dataclass(frozen=True, slots=True)
class Composed:
    """The libraries that interpreters need beside the requested packages.

    ``packages`` contain these libraries and no other files.
    """

    packages: tuple[Package, ...]
    additions: Additions


async def compose_languages(
    packages: Sequence[Package], closure: Closure, read: ReadTree
) -> Composed:
    """Compose every language whose interpreter is among the packages.

    Raises UnsupportedTree beyond the bound, and what ``read`` raises.
    """
    languages = [
        language for language in LANGUAGES if any(_own(language, package) for package in packages)
    ]
    if not languages:
        return Composed((), Additions())
    needed = await _needed(packages, languages, closure, read)
    both = (*packages, *needed)
    return Composed(needed, join(_additions(language, both) for language in languages))


async def _needed(
    packages: Sequence[Package], languages: Sequence[Language], closure: Closure, read: ReadTree
) -> tuple[Package, ...]:
    seen = {package.path for package in packages}
    found: list[Package] = []
    frontier = [package for package in packages if _is_library(languages, package)]
    depth = 0
    while frontier:
        paths = {
            reference for package in frontier for reference in closure[package.path].references
        }
        paths -= seen
        seen |= paths
        if len(seen) > _MOST_PATHS:
            raise UnsupportedTree(f"their libraries need more than {_MOST_PATHS:,} store paths")
        ordered = sorted(paths)
        trees = await read(ordered)
        found_here = [
            Package(path, tree, _NEEDED + depth) for path, tree in zip(ordered, trees, strict=True)
        ]
        frontier = [package for package in found_here if _is_library(languages, package)]
        found += (_reduced(languages, package) for package in frontier)
        depth += 1
    return tuple(found)


def _is_library(languages: Sequence[Language], package: Package) -> bool:
    return any(
        not _own(language, package) and _libraries(language, package) for language in languages
    )


def _reduced(languages: Sequence[Language], package: Package) -> Package:
    """Return the package with nothing but its libraries of the languages."""
    root: dict[bytes, Node] = {}
    for language in languages:
        if not _own(language, package):
            for place in _libraries(language, package):
                root = _insert(root, place.split(b"/"), package.file_tree.root)
    return Package(package.path, FileTree(Tree(root), package.file_tree.linked), package.priority)


def _insert(into: dict[bytes, Node], names: Sequence[bytes], source: Node) -> dict[bytes, Node]:
    first, *rest = names
    assert isinstance(source, Tree)
    child = source.children[first]
    if rest:
        known = into.get(first)
        below = dict(known.children) if isinstance(known, Tree) else {}
        child = Tree(_insert(below, rest, child))
    return {**into, first: child}


def _additions(language: Language, packages: Sequence[Package]) -> Additions:
    own: dict[bytes, None] = {}
    libraries: dict[bytes, None] = {}
    for package in packages:
        places = _own(language, package)
        own.update(dict.fromkeys(places))
        if not places:
            libraries.update(dict.fromkeys(_libraries(language, package)))
    ordered = [
        name for place in language.libraries for name in sorted(libraries) if _matches(place, name)
    ]
    return language.compose(sorted(own), ordered)


def _own(language: Language, package: Package) -> tuple[bytes, ...]:
    """Return the places of an interpreter; none if the package is not one."""
    found: list[bytes] = []
    for place in language.interpreter:
        names = tuple(_find(package.file_tree.root, place))
        if not names:
            return ()
        found += names
    return tuple(found)


def _libraries(language: Language, package: Package) -> tuple[bytes, ...]:
    return tuple(
        name for place in language.libraries for name in _find(package.file_tree.root, place, Tree)
    )


def _find(node: Node, place: Place, kind: type[Node] | None = None) -> Iterator[bytes]:
    if not isinstance(node, Tree):
        return
    first, *rest = place
    if first in NAMES:
        found = tuple(name for name in (first,) if name in node.children)
    else:
        found = tuple(filter(COMPILED[first].fullmatch, node.children))
    for base in found:
        child = node.children[base]
        if rest:
            yield from (base + b"/" + name for name in _find(child, tuple(rest), kind))
        elif kind is None or isinstance(child, kind):
            yield base


def _matches(place: Place, name: bytes) -> bool:
    names = name.split(b"/")
    return len(names) == len(place) and all(
        COMPILED[pattern].fullmatch(base) for pattern, base in zip(place, names, strict=True)
    )
