import pytest

from nix.debian.generator.release import NotDebian, Release, parse_release


def test_release_is_read_from_os_release() -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
    assert parse_release(text) == Release("debian", "bookworm")


def test_derived_distribution_has_its_own_name() -> None:
    text = 'ID=ubuntu\nID_LIKE="debian"\nVERSION_CODENAME=noble\n'
    assert parse_release(text) == Release("ubuntu", "noble")


@pytest.mark.parametrize("text", ["", 'ID=fedora\nPRETTY_NAME="Fedora 40"\n', "ID=debian\n"])
def test_other_systems_are_rejected(text: str) -> None:
    with pytest.raises(NotDebian):
        parse_release(text)
