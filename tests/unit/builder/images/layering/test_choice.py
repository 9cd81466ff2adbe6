import pytest

from app.builder.images.layering.choice import NO_PROFILES, LayerProfiles
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from tests.unit.builder.images.layering.closures import closure

ONE = LayerProfile(2, {name: ProfileEntry(0, 1) for name in ("glibc", "bash", "git")})
OTHER = LayerProfile(3, {name: ProfileEntry(0, 1) for name in ("libc6", "bash", "git")})
SHIPPED = LayerProfiles.shipped([ONE, OTHER])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("glibc-2", "bash-5"), ONE),
        (("libc6-2", "bash-5", "git-2"), OTHER),
        (("libc6-2", "libc6-3", "git-3", "glibc-2"), OTHER),
        (("bash-5", "git-2"), ONE),  # of equal ones the first
        (("libc6-2", "a-1", "b-1"), None),  # less than half is known
        (("a-1",), None),
    ],
)
def test_of_the_shipped_profiles_the_one_that_knows_most_of_an_image_is_chosen(
    names: tuple[str, ...], chosen: LayerProfile | None
) -> None:
    found = SHIPPED.choose(closure(dict.fromkeys(names, (1, ()))))

    assert found is chosen


def test_a_profile_of_the_operator_is_for_all_images() -> None:
    assert LayerProfiles.only(ONE).choose(closure({"a-1": (1, ())})) is ONE


def test_without_profiles_none_is_chosen() -> None:
    assert NO_PROFILES.choose(closure({"a-1": (1, ())})) is None
    assert NO_PROFILES.identities == []
    assert NO_PROFILES.names == 0


def test_all_profiles_are_part_of_what_decides_an_image() -> None:
    assert SHIPPED.identities == [str(ONE.identity), str(OTHER.identity)]
    assert SHIPPED.names == 6
