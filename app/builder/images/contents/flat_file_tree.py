"""A file tree as it is stored: flat, since JSON parsers refuse deep nesting.

Names are bytes and JSON holds characters: Latin-1 has one character for each byte.
"""

from dataclasses import dataclass

from app.builder.images.contents.file_tree import FILE, FileTree, Link, Node, Tree
from app.system.blocking import blocking

_ROOT = ""


@dataclass(frozen=True, slots=True)
class FlatDirectory:
    """The names in one directory; ``links`` have a target and the directory they lead to."""

    files: tuple[str, ...]
    links: dict[str, tuple[str, str | None]]
    directories: tuple[str, ...]


# Each directory of a tree by its path below the tree's top, whose own path is "".
FlatTree = dict[str, FlatDirectory]
# At a top: a directory, true for a file, or a link with its target and what it leads to.
FlatTop = FlatTree | tuple[str, str | None] | bool


@dataclass(frozen=True, slots=True)
class FlatFileTree:
    """The stored form of a FileTree."""

    root: FlatTop
    linked: dict[str, FlatTree]


def complete(flat: FlatFileTree) -> FlatFileTree:
    """Return the argument.  Raises ValueError if the names of a directory are missing."""
    trees = [*flat.linked.values(), *([flat.root] if isinstance(flat.root, dict) else [])]
    for tree in trees:
        named = {_below(path, name) for path in tree for name in tree[path].directories}
        if {_ROOT, *named} != tree.keys():
            raise ValueError("the directories are not those that are named")
    return flat


@blocking
def flatten(file_tree: FileTree) -> FlatFileTree:
    linked = {_text(name): _flat_tree(tree) for name, tree in sorted(file_tree.linked.items())}
    match file_tree.root:
        case Tree() as tree:
            return FlatFileTree(_flat_tree(tree), linked)
        case Link() as link:
            return FlatFileTree(_flat_link(link), linked)
        case _:
            return FlatFileTree(root=True, linked=linked)


@blocking
def unflatten(flat: FlatFileTree) -> FileTree:
    """Return the tree of a complete flat one."""
    linked = {_name(name): _tree(tree) for name, tree in flat.linked.items()}
    match flat.root:
        case dict() as tree:
            return FileTree(_tree(tree), linked)
        case (target, leads_to):
            return FileTree(_link(target, leads_to), linked)
        case _:
            return FileTree(FILE, linked)


def _flat_tree(top: Tree) -> FlatTree:
    flat: FlatTree = {}
    left = [(_ROOT, top)]
    while left:
        path, tree = left.pop()
        files: list[str] = []
        links: dict[str, tuple[str, str | None]] = {}
        directories: list[str] = []
        for name in sorted(tree.children):
            text, child = _text(name), tree.children[name]
            match child:
                case Tree():
                    directories.append(text)
                    left.append((_below(path, text), child))
                case Link():
                    links[text] = _flat_link(child)
                case _:
                    files.append(text)
        flat[path] = FlatDirectory(tuple(files), links, tuple(directories))
    return flat


def _tree(flat: FlatTree) -> Tree:
    trees: dict[str, Tree] = {}
    # A tree counts all names below it, so the deepest are made first.
    for path in sorted(flat, key=lambda path: path.count("/"), reverse=True):
        directory = flat[path]
        children: dict[bytes, Node] = {_name(name): FILE for name in directory.files}
        children.update((_name(name), _link(*link)) for name, link in directory.links.items())
        children.update((_name(n), trees[_below(path, n)]) for n in directory.directories)
        trees[path] = Tree(children)
    return trees[_ROOT]


def _below(path: str, name: str) -> str:
    return f"{path}/{name}"


def _flat_link(link: Link) -> tuple[str, str | None]:
    return _text(link.target), None if link.leads_to is None else _text(link.leads_to)


def _link(target: str, leads_to: str | None) -> Link:
    return Link(_name(target), None if leads_to is None else _name(leads_to))


def _text(name: bytes) -> str:
    return name.decode("latin-1")


def _name(text: str) -> bytes:
    return text.encode("latin-1")
