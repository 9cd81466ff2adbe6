"""Whatever Nix, git or a compiler printed: one line, and nothing that is not for strangers."""

from hypothesis import given
from hypothesis import strategies as st

from app.builder.wording import line, sentence


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_a_line_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    shown = line(text, limit)

    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert all(
        character.isprintable() or character == "\xad"
        for character in shown
        if ord(character) < 0xA0
    )
    shown.encode()


def test_terminal_colours_vanish() -> None:
    assert line("\x1b[31;1merror:\x1b[0m gone\x1b]8;;http://x\x07!", 100) == "error: gone!"


def test_what_is_cut_off_is_marked() -> None:
    assert line("abcdef", 4) == "abc…"


def test_credentials_are_struck_out() -> None:
    shown = line(
        "fetching https://joe:hunter2@git.example/x?private_token=abc&ref=main"
        " with Authorization: Bearer abcdefghijkl.mnop",
        300,
    )

    assert "hunter2" not in shown
    assert "joe" not in shown
    assert "abc" not in shown
    assert "git.example/x" in shown
    assert "ref=main" in shown


def test_a_sentence_keeps_store_paths_and_loses_directories_of_the_host() -> None:
    shown = sentence(
        "at /home/joe/pkgs/default.nix:3: builder for '/nix/store/abc-x.drv' failed in /etc/nixos/",
        300,
    )

    assert shown == "at default.nix:3: builder for '/nix/store/abc-x.drv' failed in nixos/"


def test_names_of_images_and_addresses_are_no_paths() -> None:
    text = "shell/git/htop is at https://example.org/v2/shell/git/manifests/latest"

    assert sentence(text, 300) == text
