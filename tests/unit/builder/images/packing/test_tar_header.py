import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.packing import tar_header as header

names = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.integers(1, 255).map(lambda length: b"n" * length),
).filter(lambda name: not set(name) & {0, ord("/")})
directories = st.lists(names, max_size=4).map(lambda names: b"".join(name + b"/" for name in names))


@pytest.mark.slow
@given(directories, names, st.integers(0, 9 << 30), st.booleans())
def test_headers_made_side_by_side_are_those_made_alone(
    directory: bytes,
    base: bytes,
    size: int,
    executable: bool,  # noqa: FBT001  # a value hypothesis draws
) -> None:
    alone = header.file(directory + base, size, mode=0o555 if executable else 0o444)

    assert header.FileHeaders(directory).make(base, size, executable=executable) == alone


@pytest.mark.slow
@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300))
def test_links_of_any_name_are_read_back(name: bytes, target: bytes) -> None:
    name, target = (text.replace(b"\0", b"x").strip(b"/") or b"x" for text in (name, target))
    archive = io.BytesIO(header.symlink(name, target) + header.END_OF_ARCHIVE)

    with tarfile.TarFile(fileobj=archive, encoding="utf-8", errors="surrogateescape") as tar:
        [member] = tar.getmembers()

    assert (os.fsencode(member.name), os.fsencode(member.linkname)) == (name, target)
    assert (member.issym(), member.mode, member.mtime, member.size) == (True, 0o777, 1, 0)


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 5 << 40])
def test_any_size_is_read_back(size: int) -> None:
    member = tarfile.TarFile(fileobj=io.BytesIO(header.file(b"large", size, mode=0o444))).next()

    assert member is not None
    assert member.size == size


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        (b"n" * 100, 1),
        (b"n" * 101, 3),
        (b"d" * 155 + b"/" + b"n" * 100, 1),
        (b"d" * 156 + b"/" + b"n" * 100, 3),
        (b"d" * 155 + b"/" + b"n" * 101, 3),
        ("ä".encode(), 3),
    ],
)
def test_pax_only_where_ustar_cannot(name: bytes, headers: int) -> None:
    made = header.file(name, 0, mode=0o444)

    # A PAX header is a header, one record of text, and the header it is about.
    assert len(made) == (headers * 512)


def test_what_a_directory_does_not_need_is_zero_or_empty() -> None:
    member = tarfile.TarInfo.frombuf(header.directory(b"d/", mode=0o1777), "utf-8", "strict")

    assert (member.mode, member.uid, member.gid, member.size) == (0o1777, 0, 0, 0)
    assert (member.uname, member.gname, member.linkname, member.mtime) == ("", "", "", 1)


@pytest.mark.parametrize(
    ("target", "headers"), [(b"t" * 99, 1), (b"t" * 100, 1), (b"t" * 101, 3), ("ä".encode(), 3)]
)
def test_pax_only_for_targets_that_ustar_cannot_hold(target: bytes, headers: int) -> None:
    assert len(header.symlink(b"link", target)) == headers * 512
