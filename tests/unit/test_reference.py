import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DigestInvalid, ManifestUnknown, NameInvalid
from app.oci import Digest
from app.reference import ImageReference, RepositoryName, Tag

WORDS = st.text("abz059", min_size=1, max_size=6)
SEPARATORS = st.sampled_from([".", "_", "__", "-", "--", "---", "/"])
NAMES = st.builds(
    lambda first, more: first + "".join(separator + word for separator, word in more),
    WORDS,
    st.lists(st.tuples(SEPARATORS, WORDS), max_size=30),
)


@pytest.mark.slow
@given(NAMES)
def test_a_name_of_the_specification_is_kept_as_it_is(name: str) -> None:
    assert str(RepositoryName.parse(name)) == name


@pytest.mark.parametrize(
    "name", ["", "Git", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a-", "a\n", "a%2fb", "ä"]
)
def test_a_name_outside_the_specification_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        RepositoryName.parse(name)


def test_a_name_may_have_255_characters_and_no_more() -> None:
    RepositoryName.parse("a" * 255)

    with pytest.raises(NameInvalid):
        RepositoryName.parse("a" * 256)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a" * 129, "a b", "latest\n"])
def test_a_malformed_tag_is_not_found(tag: str) -> None:
    with pytest.raises(ManifestUnknown):
        Tag.parse(tag)


def test_a_reference_with_a_colon_is_a_digest() -> None:
    digest = Digest.of(b"x")

    assert ImageReference.parse("git", str(digest)).reference == digest
    assert ImageReference.parse("git", "latest").reference == Tag("latest")
    with pytest.raises(DigestInvalid):
        ImageReference.parse("git", "sha256:baddigeststring")


def test_digests_of_other_registered_algorithms_are_well_formed() -> None:
    assert str(Digest.parse("sha512:" + "a" * 128)).startswith("sha512:")
    with pytest.raises(DigestInvalid):
        Digest.parse("sha256:" + "A" * 64)
