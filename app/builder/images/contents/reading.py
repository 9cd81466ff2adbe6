"""Read the file tree of a store path, in one pass over it and over each path that it links to."""

from collections.abc import Iterable
from copy import copy

from app.builder.images.contents.bound import DEEPEST, Bound
from app.builder.images.contents.file_tree import FILE, FileTree, Link, Node, Tree
from app.builder.images.contents.links import Links
from app.builder.images.contents.tree_builder import TreeBuilder
from app.builder.nix.closure import StorePath
from app.builder.nix.store import File, StoreReader, UnreadablePath, UnsupportedTree, repeated
from app.system.blocking import blocking

# Names of one package and of what its links lead to, and their bytes: the record of a file tree
# holds them all, and so does memory.
_MOST_NAMES = 500_000
_MOST_BYTES = 64 << 20
# While links are followed, memory also holds the paths that they only lead through.
_THROUGH = 2


@blocking
def read_file_tree(path: StorePath, store: StoreReader, closure: Iterable[StorePath]) -> FileTree:
    """Read the names below the path, and below directories that links lead to.

    ``closure`` is that of the path.  A link to a path outside of it dangles in images, so it is not
    followed.  Raises UnreadablePath, UnsupportedTree, Stopped.
    """
    return _Reader(store, closure).read(path)


@blocking
def read_file(path: StorePath, place: bytes, store: StoreReader, *, most: int) -> bytes:
    """Return the content of the regular file at ``place`` in the path.

    Raises UnreadablePath if there is none, UnsupportedTree for more than ``most`` bytes, Stopped.
    """

    def pick() -> bytes | None:
        picker = _FilePicker(path.base.encode() + b"/" + place, most)
        store.visit(path, picker)
        return picker.content

    content = repeated(pick)
    if content is None:
        raise UnreadablePath(f"{place.decode()} is missing")
    return content


class _FilePicker:
    """A visitor that reads one file."""

    def __init__(self, location: bytes, most: int) -> None:
        self._location = location
        self._most = most
        self._above: list[bytes] = []
        self.content: bytes | None = None

    def enter(self, name: bytes) -> None:
        self._above.append(name)

    def leave(self) -> None:
        self._above.pop()

    def symlink(self, name: bytes, target: bytes) -> None:
        pass

    def file(self, name: bytes, file: File) -> None:
        if b"/".join((*self._above, name)) != self._location:
            return
        size, _ = file.open()
        if size > self._most:
            raise UnsupportedTree(f"{name.decode()} has more than {self._most >> 20} MiB")
        content = bytearray(size)
        if size and file.readv([content]) != size:
            raise UnreadablePath(f"{name.decode()} changed while it was read")
        self.content = bytes(content)


class _Reader:
    def __init__(self, store: StoreReader, closure: Iterable[StorePath]) -> None:
        self._store = store
        self._links = Links(closure, self._visit)
        self._visited: dict[StorePath, Node] = {}
        self._visited_bound = Bound(names=_THROUGH * _MOST_NAMES, size=_THROUGH * _MOST_BYTES)
        self._bound = Bound(names=_MOST_NAMES, size=_MOST_BYTES)
        self._wanted: list[bytes] = []

    def read(self, path: StorePath) -> FileTree:
        own = path.base.encode()
        root = self._resolved(own, self._visit(path), 0)
        linked: dict[bytes, Tree] = {}
        while self._wanted:
            directory = self._wanted.pop()
            inside = directory == own or directory.startswith(own + b"/")
            if not inside and directory not in linked:
                tree = self._links.node(directory.split(b"/"))
                assert isinstance(tree, Tree)
                linked[directory] = self._resolved_tree(directory, tree, 0)
        return FileTree(root, linked)

    def _visit(self, path: StorePath) -> Node:
        if path not in self._visited:
            self._visited[path], self._visited_bound = repeated(lambda: self._build(path))
        return self._visited[path]

    def _build(self, path: StorePath) -> tuple[Node, Bound]:
        bound = copy(self._visited_bound)
        builder = TreeBuilder(bound)
        self._store.visit_names(path, builder)
        return builder.root, bound

    def _resolved(self, location: bytes, node: Node, depth: int) -> Node:
        """Return the node with its links followed."""
        match node:
            case Link(target):
                leads_to = self._links.directory(location, target)
                self._bound.add(0, len(target) + len(leads_to or b""))
                if leads_to is None:
                    return node
                self._wanted.append(leads_to)
                return Link(target, leads_to)
            case Tree():
                return self._resolved_tree(location, node, depth)
            case _:
                return node

    def _resolved_tree(self, location: bytes, tree: Tree, depth: int) -> Tree:
        if depth > DEEPEST:
            raise UnsupportedTree(f"more than {DEEPEST} directories deep")
        self._bound.add(len(tree.children), sum(map(len, tree.children)))
        children = {
            name: child
            if child is FILE
            else self._resolved(location + b"/" + name, child, depth + 1)
            for name, child in tree.children.items()
        }
        # Most directories have no links to directories below them: one object serves twice.
        is_same = all(children[name] is child for name, child in tree.children.items())
        return tree if is_same else Tree(children)
