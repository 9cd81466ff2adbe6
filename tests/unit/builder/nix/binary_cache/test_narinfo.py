from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.binary_cache.content_address import ContentAddress
from app.builder.nix.binary_cache.narinfo import (
    NarInfo,
    NarInfoInvalid,
    Substitute,
    parse_narinfo,
    parse_substitute,
)
from app.builder.nix.binary_cache.signatures import TrustedKeys
from app.builder.nix.closure import StorePath
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import narinfo

GIT = store_path("git-2.39.2")
LIBC = store_path("glibc-2.35-224")
# As a real cache writes it, references to itself and nothing but what Nix writes.
REAL = narinfo(GIT, [LIBC, GIT], nar_size=41_943_040)


def test_a_narinfo_has_path_size_and_references_in_its_own_order() -> None:
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
        (b"NarSize: 41943040\n", b"", "NarSize is missing"),
        (b"StorePath: /nix", b"StorePath: ../..", "not a store path"),
        (b"References: ", b"References: ../../etc/passwd ", "not a store path"),
        (REAL, b"<html>\n</html>", "invalid narinfo"),
        (REAL, b"\xff\xfe", "invalid narinfo"),
        (REAL, b"", "StorePath is missing"),
    ],
)
def test_an_invalid_narinfo_is_refused(before: bytes, after: bytes, complaint: str) -> None:
    with pytest.raises(NarInfoInvalid, match=complaint):
        parse_narinfo(REAL.replace(before, after), GIT.hash_part)


@pytest.mark.parametrize("field", [b"StorePath: ", b"References: ", b"URL: ", b"NarHash: "])
def test_a_long_invalid_field_gives_a_short_message(field: bytes) -> None:
    with pytest.raises(NarInfoInvalid) as refused:
        parse_substitute(FILE.replace(field, field + b"z" * 1_000_000), GIT)

    assert len(str(refused.value)) < 500


def test_only_the_first_signatures_are_kept() -> None:
    names = [f"key-{number}" for number in range(200_000)]
    signatures = "".join(f"Sig: {name}:AAAA==\n" for name in names)

    substitute = parse_substitute(FILE + signatures.encode(), GIT)

    assert substitute.signers == ("cache-1", *names[:99])


@pytest.mark.slow
@given(st.binary())
def test_no_bytes_lead_to_another_error(document: bytes) -> None:
    with pytest.raises(NarInfoInvalid):
        parse_narinfo(document, GIT.hash_part)


# The least that a download needs.
FILE = REAL.replace(b"FileHash: sha256:0\n", b"")


def test_substitute_has_what_a_download_needs() -> None:
    substitute = parse_substitute(FILE, GIT)

    assert (substitute.path, substitute.nar_size) == (GIT, 41_943_040)
    assert (substitute.compression, substitute.file_size) == ("xz", 1)
    assert substitute.signatures == ("cache-1:AAAA==",)
    assert substitute.file_hash is None
    assert not substitute.is_content_addressed


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b"NarHash: sha256:", b"NarHash: ", "not a hash"),
        (
            FILE[FILE.index(b"NarHash") : FILE.index(b"NarSize")],
            b"NarHash: md5:" + b"0" * 32 + b"\n",
            "not a SHA-256 hash",
        ),
        (FILE[FILE.index(b"NarHash") : FILE.index(b"NarSize")], b"", "NarHash is missing"),
        (FILE[FILE.index(b"URL") : FILE.index(b"Compression")], b"", "URL is missing"),
        (b"FileSize: 1", b"FileSize: one", "not a size"),
        (b"FileSize: 1", b"FileSize: 1 2", "not a size"),
        (b"URL: ", b"URL: http://[", "Invalid IPv6 URL"),
        (b"URL: ", b"URL: nar ", "not a URL"),
        (FILE[-10:], b"", "ends in the middle of a line"),
        (b"NarSize", b"NarSize: 1\nNarSize", "two lines with 'NarSize'"),
    ],
)
def test_invalid_substitute_is_refused(before: bytes, after: bytes, complaint: str) -> None:
    with pytest.raises(NarInfoInvalid, match=complaint):
        parse_substitute(FILE.replace(before, after), GIT)


@pytest.mark.parametrize(
    "address",
    ["nonsense", f"fixed:git:sha1:{'0' * 40}", f"fixed:r:blake3:{'0' * 52}", "z" * 1_000_000],
)
def test_content_address_of_an_unknown_kind_gives_no_trust(address: str) -> None:
    substitute = parse_substitute(FILE + f"CA: {address}\n".encode(), GIT)

    assert substitute == parse_substitute(FILE, GIT)


def test_unknown_fields_and_empty_lines_are_ignored() -> None:
    assert parse_substitute(FILE + b"X-A: 1\nX-A: 2\nDeriver: x\n\n\n", GIT) == parse_substitute(
        FILE, GIT
    )


def test_file_size_of_zero_is_unknown() -> None:
    """As for Nix."""
    assert parse_substitute(FILE.replace(b"Size: 1", b"Size: 0"), GIT).file_size is None


def test_substitute_of_another_name_is_refused() -> None:
    other = StorePath.parse(f"{GIT.hash_part}-other")

    with pytest.raises(NarInfoInvalid, match=r"is that of .*git-2"):
        parse_substitute(FILE, other)


def addressed(substitute: Substitute, address: str, *references: StorePath) -> Substitute:
    """Return one whose path follows from the address, if that allows the references."""
    content_address = ContentAddress.parse(address)
    return replace(substitute, references=references, content_address=content_address)


def test_path_of_its_content_needs_no_signature() -> None:
    substitute = parse_substitute(FILE, GIT)
    hashed = f"fixed:r:sha256:{substitute.nar_hash.hex()}"
    path = ContentAddress.parse(hashed).path("git", [LIBC], to_itself=False)
    own = addressed(replace(substitute, path=path), hashed, LIBC)

    assert own.is_content_addressed
    assert own.is_trusted(TrustedKeys(()))
    assert own.signers == ("cache-1",)
    assert not addressed(own, hashed).is_content_addressed
    assert not addressed(own, hashed, LIBC, path).is_content_addressed
    assert not addressed(own, f"fixed:r:sha256:{'0' * 64}", LIBC).is_content_addressed
    assert not addressed(own, f"fixed:sha256:{substitute.nar_hash.hex()}", LIBC).is_trusted(
        TrustedKeys(())
    )
