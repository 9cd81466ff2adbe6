"""A store path as a tar stream, against GNU tar and Python's tarfile."""

import io
import os
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.builder.images.packing.blocks import BlockStream
from app.builder.images.packing.tar_header import END_OF_ARCHIVE
from app.builder.images.packing.tree import TreeWriter
from app.builder.nix.closure import StorePath
from app.builder.nix.store import UnsupportedTree
from tests.unit.builder.images.packing.trees import ODDITIES, Node, local_store, plant

BLOCK_SIZE = 1 << 16
Reader = Callable[[bytes], dict[bytes, tuple[str, object]]]
# In other locales iconv drops characters such as U+E0000 from names.
PLAIN = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
NAME = b"nix/store/00000000000000000000000000000000-odd"


def pack(location: bytes, name: bytes = NAME) -> bytes:
    """The tar of what is at the location, packed under the name."""
    tar = io.BytesIO()

    def deliver(buffer: bytearray, filled: int) -> bytearray:
        tar.write(memoryview(buffer)[:filled])
        return buffer

    stream = BlockStream(bytearray(BLOCK_SIZE), deliver)
    prefix, base = name[: name.rfind(b"/") + 1], name[name.rfind(b"/") + 1 :].decode()
    here = Path(os.fsdecode(location))
    named = here.rename(here.with_name(base))
    try:
        local_store(named.parent).visit(StorePath(base), TreeWriter(stream, prefix))
    finally:
        named.rename(here)
    stream.flush()
    return tar.getvalue()


def described(name: bytes, node: Node) -> dict[bytes, tuple[str, object]]:
    match node:
        case bytes():
            return {name: ("file", node)}
        case (target,):
            return {name: ("symlink", target)}
        case _:
            found: dict[bytes, tuple[str, object]] = {name: ("directory", None)}
            for base, child in node.items():
                found |= described(name + b"/" + base, child)
            return found


def read_by_tarfile(tar: bytes) -> dict[bytes, tuple[str, object]]:
    found: dict[bytes, tuple[str, object]] = {}
    with tarfile.open(fileobj=io.BytesIO(tar + END_OF_ARCHIVE)) as archive:
        for member in archive:
            name = os.fsencode(member.name)
            assert name not in found
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 1
            if member.isdir():
                assert member.mode == 0o555
                found[name] = ("directory", None)
            elif member.issym():
                assert member.mode == 0o777
                found[name] = ("symlink", os.fsencode(member.linkname))
            else:
                assert member.isreg()
                assert member.mode == 0o444
                content = archive.extractfile(member)
                assert content is not None
                found[name] = ("file", content.read())
    return found


def read_back(location: bytes, name: bytes) -> dict[bytes, tuple[str, object]]:
    """What is on the disk."""
    status = os.lstat(location)
    if stat.S_ISLNK(status.st_mode):
        return {name: ("symlink", os.readlink(location))}  # noqa: PTH115  # names in bytes
    assert status.st_mtime == 1
    if stat.S_ISREG(status.st_mode):
        return {name: ("file", Path(os.fsdecode(location)).read_bytes())}
    assert stat.S_IMODE(status.st_mode) == 0o555
    found: dict[bytes, tuple[str, object]] = {name: ("directory", None)}
    for base in os.listdir(location):  # noqa: PTH208  # names in bytes
        found |= read_back(location + b"/" + base, name + b"/" + base)
    return found


def read_by_gnu_tar(tar: bytes) -> dict[bytes, tuple[str, object]]:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            ["tar", "-C", directory, "--delay-directory-restore", "-xpf", "-"],
            input=bytes(tar + END_OF_ARCHIVE),
            check=True,
            env=PLAIN,
        )
        found = read_back(os.fsencode(directory) + b"/" + NAME, NAME)
        subprocess.run(["chmod", "-R", "u+w", directory], check=True)
    return found


def packed_by_gnu_tar(directory: str) -> bytes:
    """What is below ``nix`` there, in the modes and the order of a store."""
    options = ["--format=posix", "--sort=name", "--mtime=@1", "--owner=0", "--group=0"]
    command = ["tar", "-C", directory, *options, "-cf", "-", os.fsdecode(NAME)]
    subprocess.run(["chmod", "-R", "a=rX", f"{directory}/nix"], check=True)
    tar = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=PLAIN).stdout
    subprocess.run(["chmod", "-R", "u+w", f"{directory}/nix"], check=True)
    return tar


def listed_by_gnu_tar(tar: bytes) -> list[bytes]:
    """Modes, owners, sizes, times, names and targets, as ``tar tvf`` shows them."""
    command = ["tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "-"]
    done = subprocess.run(command, input=bytes(tar), check=True, capture_output=True, env=PLAIN)
    assert done.stderr == b""
    return done.stdout.splitlines()


names = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(min_size=1, max_size=40).map(lambda text: text.encode(errors="replace")),
    st.integers(90, 160).map(lambda length: b"n" * length),
).filter(
    lambda name: (
        not set(name) & {0, ord("/")}
        and name not in (b".", b"..")
        and len(name) <= 255
        and not name.startswith(b".wh.")
    )
)
contents = st.one_of(st.binary(max_size=20), st.sampled_from([511, 512, 513, 1024]).map(bytes))
targets = st.one_of(
    st.binary(min_size=1, max_size=12), st.integers(95, 300).map(lambda length: b"t" * length)
).filter(lambda target: 0 not in target)
trees = st.recursive(
    st.one_of(contents, st.tuples(targets)),
    lambda children: st.dictionaries(names, children, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(trees)
def test_any_tree_is_read_back_by_tarfile_as_it_is_in_the_store(tree: Node) -> None:
    with tempfile.TemporaryDirectory() as directory:
        location = os.fsencode(directory) + b"/t"
        plant(location, tree)

        tar = pack(location)

    assert read_by_tarfile(tar) == described(NAME, tree)


@pytest.mark.parametrize("read", [read_by_tarfile, read_by_gnu_tar])
def test_long_and_strange_names_empty_directories_and_links_survive(
    read: Reader, tmp_path: Path
) -> None:
    plant(os.fsencode(tmp_path / "t"), ODDITIES)

    tar = pack(os.fsencode(tmp_path / "t"))

    assert read(tar) == described(NAME, ODDITIES)


@pytest.mark.slow
@settings(max_examples=25)
@given(trees)
def test_any_tree_is_unpacked_by_gnu_tar_and_is_in_its_list_as_gnu_tar_would_pack_it(
    tree: Node,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        location = os.fsencode(directory) + b"/" + NAME
        Path(os.fsdecode(location)).parent.mkdir(parents=True)
        plant(location, tree)

        tar = pack(location)
        theirs = packed_by_gnu_tar(directory)

    assert listed_by_gnu_tar(tar + END_OF_ARCHIVE) == listed_by_gnu_tar(theirs)
    if not isinstance(tree, tuple):  # a link's own time is not restored
        assert read_by_gnu_tar(tar) == described(NAME, tree)


@pytest.mark.slow
@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 255, 256, 257, 300])
def test_names_of_any_length_are_cut_where_gnu_tar_reads_them(length: int, tmp_path: Path) -> None:
    """The whole name, from ``nix/`` on, has this length, in one piece or in many."""
    rest = length - len(NAME) - 1
    one: Node = {b"n" * rest: b"x"} if rest <= 255 else {b"d" * 200: {b"n" * (rest - 201): b"x"}}
    many: Node = b"x"
    for _ in range(rest // 2):
        many = {b"m": many}
    for number, tree in enumerate(
        (one, many, {b"e" * min(rest, 255): {}}, {b"l": (b"t" * length,)})
    ):
        plant(os.fsencode(tmp_path / str(number)), tree)

        tar = pack(os.fsencode(tmp_path / str(number)))

        assert read_by_tarfile(tar) == described(NAME, tree)
        assert read_by_gnu_tar(tar) == described(NAME, tree)


@pytest.mark.parametrize("size", [BLOCK_SIZE - 512, BLOCK_SIZE - 511, BLOCK_SIZE, 2 * BLOCK_SIZE])
def test_a_file_as_large_as_blocks_survives(size: int, tmp_path: Path) -> None:
    content = os.urandom(512) * (size // 512) + b"x" * (size % 512)
    plant(os.fsencode(tmp_path / "t"), {b"large": content, b"next": b"next"})

    tar = pack(os.fsencode(tmp_path / "t"))

    assert read_by_tarfile(tar) == described(NAME, {b"large": content, b"next": b"next"})


@pytest.mark.parametrize("root", [b"a single file", (b"a single link",)])
def test_a_store_path_may_be_a_file_or_a_link(root: Node, tmp_path: Path) -> None:
    plant(os.fsencode(tmp_path / "t"), root)

    assert read_by_tarfile(pack(os.fsencode(tmp_path / "t"))) == described(NAME, root)


def test_entries_come_in_byte_order_each_directory_before_its_content(tmp_path: Path) -> None:
    plant(os.fsencode(tmp_path / "t"), {b"b": b"", b"a.b": b"", b"a": {b"z": b"", b"\xff": b""}})

    with tarfile.open(fileobj=io.BytesIO(pack(os.fsencode(tmp_path / "t"), b"t"))) as archive:
        assert [os.fsencode(name) for name in archive.getnames()] == [
            b"t",
            b"t/a",
            b"t/a/z",
            b"t/a/\xff",
            b"t/a.b",
            b"t/b",
        ]


def test_modes_are_those_of_a_store_whatever_the_disk_has(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    plant(os.fsencode(tree), {b"program": b"", b"data": b"", b"directory": {}})
    loose = pack(os.fsencode(tree))
    (tree / "data").chmod(0o640)
    (tree / "directory").chmod(0o700)
    assert pack(os.fsencode(tree)) == loose
    (tree / "program").chmod(0o744)

    with tarfile.open(fileobj=io.BytesIO(pack(os.fsencode(tree), b"t"))) as archive:
        modes = {member.name: member.mode for member in archive}

    assert modes == {"t": 0o555, "t/data": 0o444, "t/directory": 0o555, "t/program": 0o555}


def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    plant(os.fsencode(tmp_path / "a"), {b"one": b"same", b"two": b"same"})
    plant(os.fsencode(tmp_path / "b"), {b"one": b"same"})
    (tmp_path / "b" / "two").hardlink_to(tmp_path / "b" / "one")

    assert pack(os.fsencode(tmp_path / "a")) == pack(os.fsencode(tmp_path / "b"))


@pytest.mark.parametrize("size", [0, 100, BLOCK_SIZE + 1])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_changes_its_size_while_it_is_read_is_an_error(
    size: int, change: int, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size + 1))
    stream = BlockStream(bytearray(BLOCK_SIZE), lambda buffer, _: buffer)

    with file.open("rb") as opened, pytest.raises(OSError, match="size changed"):
        stream.write_file(b"", partial(os.readv, opened.fileno()), size + 1 + change)


def test_pipes_and_whiteouts_are_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".wh.file").touch()

    with pytest.raises(UnsupportedTree, match="neither a file"):
        pack(os.fsencode(tmp_path / "pipe"))
    with pytest.raises(UnsupportedTree, match="whiteout"):
        pack(os.fsencode(tmp_path))


@pytest.mark.slow
def test_thousands_of_levels_do_not_recurse(tmp_path: Path) -> None:
    depth = 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)  # relative to a descriptor
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    tar = pack(os.fsencode(tmp_path), b"t")

    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert len(archive.getnames()) == depth + 1
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
