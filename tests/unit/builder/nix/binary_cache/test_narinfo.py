import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.binary_cache.narinfo import NarInfo, NarInfoInvalid, parse_narinfo
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import narinfo

GIT = store_path("git-2.39.2")
LIBC = store_path("glibc-2.35-224")
# As a real cache writes it, references to itself and nothing but what Nix writes.
REAL = narinfo(GIT, [LIBC, GIT], nar_size=41_943_040)


def test_a_narinfo_says_path_size_and_references_in_its_own_order() -> None:
    assert parse_narinfo(REAL, GIT.hash_part) == NarInfo(GIT, 41_943_040, (LIBC, GIT))


def test_references_may_be_empty_or_not_mentioned() -> None:
    none = REAL.replace(f" {LIBC.base} {GIT.base}".encode(), b"")
    unmentioned = b"".join(
        line for line in REAL.splitlines(keepends=True) if not line.startswith(b"References")
    )

    assert parse_narinfo(none, GIT.hash_part).references == ()
    assert parse_narinfo(unmentioned, GIT.hash_part).references == ()


def test_the_narinfo_of_another_path_is_refused() -> None:
    with pytest.raises(NarInfoInvalid, match=rf"the narinfo of {LIBC.hash_part} is that of .*git"):
        parse_narinfo(REAL, LIBC.hash_part)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b"NarSize: 41943040", b"NarSize: many", "not a size"),
        (b"NarSize: 41943040", b"NarSize: -1", "not a size"),
        (b"NarSize: 41943040", b"NarSize: 4_1", "not a size"),
        (b"NarSize: 41943040", b"NarSize: 0", "not above 0"),
        (b"NarSize: 41943040\n", b"", "no NarSize"),
        (b"StorePath: /nix", b"StorePath: ../..", "not a store path"),
        (b"References: ", b"References: ../../etc/passwd ", "not a store path"),
        (REAL, b"<html>\n</html>", "no narinfo"),
        (REAL, b"\xff\xfe", "no narinfo"),
        (REAL, b"", "no StorePath"),
    ],
)
def test_what_is_no_narinfo_is_refused(before: bytes, after: bytes, complaint: str) -> None:
    with pytest.raises(NarInfoInvalid, match=complaint):
        parse_narinfo(REAL.replace(before, after), GIT.hash_part)


@given(st.binary())
def test_no_bytes_lead_to_another_error(document: bytes) -> None:
    with pytest.raises(NarInfoInvalid):
        parse_narinfo(document, GIT.hash_part)
