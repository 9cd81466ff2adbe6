"""Whatever Nix, git or a compiler printed: one line, and nothing that is not for strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.sanitize import (
    LastLines,
    excerpt_for_client,
    one_line,
    one_line_for_client,
    printable,
)


@pytest.mark.slow
@given(st.text(), st.integers(min_value=1, max_value=50))
def test_a_line_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    shown = one_line(text, limit)

    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert all(
        character.isprintable() or character == "\xad"
        for character in shown
        if ord(character) < 0xA0
    )
    shown.encode()


def test_terminal_colours_vanish() -> None:
    assert one_line("\x1b[31;1merror:\x1b[0m gone\x1b]8;;http://x\x07!", 100) == "error: gone!"


def test_a_cut_is_marked() -> None:
    assert one_line("abcdef", 4) == "abc…"


def test_credentials_are_struck_out() -> None:
    shown = one_line(
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
    shown = one_line_for_client(
        "at /home/joe/pkgs/default.nix:3: builder for '/nix/store/abc-x.drv' failed in /etc/nixos/",
        300,
    )

    assert shown == "at default.nix:3: builder for '/nix/store/abc-x.drv' failed in nixos/"


def test_names_of_images_and_addresses_are_not_paths() -> None:
    text = "shell/git/htop is at https://example.org/v2/shell/git/manifests/latest"

    assert one_line_for_client(text, 300) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unable to download 'file:///tmp/d/no.tar.gz'", "unable to download 'file:no.tar.gz'"),
        ("file:/srv/state/sources/trees/ab/x.nix:3:1", "file:x.nix:3:1"),
        ("file://localhost/srv/d/x", "file:x"),
        ("git+file:///srv/d/repo?ref=main", "git+file:repo?ref=main"),
        ("path:/srv/d/pkgs#hello", "path:pkgs#hello"),
        ("unix:///run/d/x.sock unix:/run/d/y", "unix:x.sock unix:y"),
        ("http:///srv/d/x", "http:x"),
        ("-I/home/d/include -isystem/usr/d/x", "-Iinclude -isystemx"),
        ("-Wl,-rpath,/home/d/lib @/srv/d/args", "-Wl,-rpath,lib @args"),
        ("//home//d///x //home/d", "x d"),
        ("PATH=/home/d/bin:/nix/store/abc-x/bin:/d/y", "PATH=bin:/nix/store/abc-x/bin:y"),
        ("error:/home/d/x", "error:x"),
        ("host:/srv/d/x", "host:x"),
        ("https://cache.example/x:/home/d/y", "https://cache.example/x:y"),
        ("~/d/x ~joe/d/x", "~x ~joex"),
        ("'/srv/d e/x y' \"/srv/d e/z\"", "'x y' \"z\""),
        ("sh -c '/bin/sh -c /home/d/x y'", "sh -c 'sh -c x y'"),
        ("(in /home/d/x) [/d/y] </d/z>", "(in x) [y] <z>"),
        ("/srv/d/%20/a,b=c/x", "x"),
        ("/home/d/\x1b[1mx\x1b[0m/y", "y"),
        ("\x1b[35;1m/home/d/x.nix\x1b[0m:3", "x.nix:3"),
        ("…cret/d/x", "…x"),
        ("/nix/store/../../home/d/x", "x"),
        ("/srv/root/nix/store/abc-x", "abc-x"),
    ],
)
def test_a_path_of_the_host_is_found_wherever_it_stands(text: str, shown: str) -> None:
    assert one_line_for_client(text, 300) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/nix/store/abc-x-1.0.drv: /nix/store/abc-x/lib/python3.11/x.py",
        "'/nix/store/abc-x.drv^*' file:/nix/store/abc-x/y",
        "https://host:8080/path/x?y=/a/b, ssh://host/srv/git/x",
        "docker://127.0.0.1:5000/shell/git/htop:latest",
        "github:NixOS/nixpkgs/nixos-25.05",
        "lib/python3.11 and/or I/O ./a/b ../c/d x86_64-linux/y @types/node",
        "s/old/new/g 2024/01/02 1/2 / /tmp /v2/",
    ],
)
def test_text_that_is_not_a_path_of_the_host_stays_readable(text: str) -> None:
    assert one_line_for_client(text, 300) == text


COMPONENT = st.text(
    st.characters(categories=["L", "N"], include_characters="+-._~%@"), min_size=1, max_size=8
).map(lambda text: f"hidden{text}")


@pytest.mark.slow
@given(
    st.lists(COMPONENT, min_size=1, max_size=5),
    st.sampled_from(["", "at ", "'", "file://", "unix:", "-I", "x=", "(", "a:", "…", "\t", "<"]),
)
def test_no_directory_of_an_absolute_path_is_shown(directories: list[str], before: str) -> None:
    assert "hidden" not in one_line_for_client(f"{before}/{'/'.join(directories)}/file", 300)


PIECES = (
    *("a", "/", "a/", "//", "://", "a://", "://a@", "a+", "@", "-", "a:", "\\", "'", " ", "~/"),
    *("-I/", "'/", '"/a', "',", "…a/", "file://", "\x1b]", "\x1b["),
    *("token", "token=", "token=\\", 'token="', "--token", "password ", "login a ", "-u a:"),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY", "bearer ", "bearer a", "authorization: "),
    *("cookie: a; ", "cookie:a=b; ", "eyJ", "eyJ.", "_eyJ", "ghp_", "xoxa-", "==", ":a=="),
)


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_long_texts_are_read_once(piece: str) -> None:
    """A pattern that went back over what it had read would take minutes."""
    text = piece * (200_000 // len(piece))

    assert len(one_line(text, 500)) <= 500
    assert len(one_line_for_client(text, 25_000)) <= 25_000


@pytest.mark.slow
@given(st.text(st.characters(categories=["L", "N"]), max_size=400), st.integers(10, 300))
def test_ends_keep_both_ends_within_the_limit(text: str, limit: int) -> None:
    kept = excerpt_for_client(text, limit)

    assert len(kept) <= limit
    beginning, _, ending = kept.partition("…")
    assert text.startswith(beginning)
    assert text.endswith(ending)


def test_an_error_keeps_the_end_of_a_long_log() -> None:
    text = "/nix/store/x-broken.drv failed: " + "line | " * 60 + "no such frobnicator"

    kept = excerpt_for_client(text, 200)

    assert kept.startswith("/nix/store/x-broken.drv failed: ")
    assert kept.endswith("no such frobnicator")
    assert len(kept) == 200


@pytest.mark.parametrize(
    "text",
    [
        "a\u202eb",
        "a\u2066\u2069b",
        "a\u200e\u200f\u061cb",
        "a\u200b\u200d\u2060\ufeffb",
        "a\U000e0001\U000e0062\U000e007fb",
        "a\u00ad\u034f\u3164b",
    ],
)
def test_invisible_characters_and_direction_marks_are_removed(text: str) -> None:
    assert (
        one_line(text, 100)
        == one_line_for_client(text, 100)
        == excerpt_for_client(text, 100)
        == printable(text)
        == "ab"
    )


def test_invisible_characters_do_not_hide_a_credential() -> None:
    assert "0123" not in one_line("ghp_\u200b0123456789", 100)


def test_visible_text_keeps_its_lines_and_indentation() -> None:
    text = "Traceback:\n  File x\n    \x1b[31mred\x1b[0m \u202e\r\n"

    assert printable(text) == "Traceback:\n  File x\n    red  \n"


def test_last_lines_are_the_same_whether_they_were_read_in_between_or_not() -> None:
    read, unread = LastLines(3, 10), LastLines(3, 10)
    for number in range(7):
        for lines in (read, unread):
            lines.add(f"\x1b[1m{number}\x1b[0m")
        read.clean(number % 3)

    assert read.read() == unread.read() == ("4", "5", "6")


def test_last_lines_hold_no_long_text_and_no_half_a_secret() -> None:
    lines = LastLines(1, 10)

    lines.add("\x1b[1m" * 8 + " https://joe:hunter2@example.org/" + "x" * 1_000_000)

    assert sum(map(len, lines._raw)) <= 41
    assert lines.read() == ("…",)


def test_lines_after_a_position_are_read_once() -> None:
    lines = LastLines(3, 100)
    for text in ("a", "b"):
        lines.add(text)
    lines.clean(9)
    position = lines.count
    assert (position, lines.after(0), lines.after(position)) == (2, ("a", "b"), ())

    for text in ("c", "", "d", "e"):
        lines.add(text)
    lines.clean(9)

    assert lines.after(position) == ("d", "e")
    assert lines.after(0) == ("d", "e")
    assert lines.after(99) == ()
