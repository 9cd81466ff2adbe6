"""Whatever Nix, git or a compiler printed: one line, and nothing that is not for strangers."""

from hypothesis import given
from hypothesis import strategies as st

from app.builder.wording import ends, line, sentence


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


@given(st.text(st.characters(categories=["L", "N"]), max_size=400), st.integers(10, 300))
def test_ends_keep_both_ends_within_the_limit(text: str, limit: int) -> None:
    kept = ends(text, limit)

    assert len(kept) <= limit
    beginning, _, ending = kept.partition("…")
    assert text.startswith(beginning)
    assert text.endswith(ending)


def test_the_last_words_of_a_long_log_survive_in_an_error() -> None:
    text = "/nix/store/x-broken.drv failed: " + "line | " * 60 + "no such frobnicator"

    kept = ends(text, 200)

    assert kept.startswith("/nix/store/x-broken.drv failed: ")
    assert kept.endswith("no such frobnicator")
    assert len(kept) == 200
