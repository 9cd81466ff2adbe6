"""What a package states about itself, before anything is made of it."""

import pytest

from app.builder.nix import results as answers
from app.builder.nix.results import Found, License

DISGUISES = [
    "\x1b[31mred",
    "two\nlines",
    "nul\0",
    "c1\x9b31m",
    "left\u202eright",
    "mark\u200f",
    "letter\u061cmark",
    "isolate\u2066x\u2069",
    "line\u2028end",
    "zero\u200bwidth",
    "tag\U000e0041",
    "half\ud800pair",
    'quo"te',
    "apostro'phe",
    "back\\slash",
    "back`tick",
]


def package(**stated: object) -> Found:
    base = "/nix/store/00000000000000000000000000000000-x"
    row = {
        "status": "package",
        "attribute": "x",
        "derivation": f"{base}.drv",
        "output": "out",
        "path": base,
        "outputs": ["out"],
        **stated,
    }
    answer = answers.parse(row)
    assert isinstance(answer, Found)
    return answer


@pytest.mark.parametrize("text", DISGUISES)
@pytest.mark.parametrize("field", ["name", "pname", "version", "main_program"])
def test_a_text_that_is_not_plain_counts_as_not_stated(field: str, text: str) -> None:
    assert getattr(package(**{field: text}), field) is None


@pytest.mark.parametrize("text", ["1.0-β2", "2024 R1", "größe", "a+b~c:d/e@f", "雪", ""])
@pytest.mark.parametrize("field", ["name", "pname", "version", "main_program"])
def test_a_plain_text_is_unchanged(field: str, text: str) -> None:
    assert getattr(package(**{field: text}), field) == text


def test_a_name_is_not_made_equal_to_one_that_a_policy_allows() -> None:
    assert package(pname="stea\u200bm").pname is None


def test_sentences_lose_what_is_not_seen_and_keep_quotes() -> None:
    found = package(
        vulnerabilities=["it's\x1b[8m hidden\nand \u202elong", None],
        licenses=[{"name": "some\u2066 \x07body's", "free": False}],
    )

    assert found.vulnerabilities == ("it's hidden and long", None)
    assert found.licenses == (License("some body's", free=False),)


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("homepage", "https://example.org/x?y#z", "https://example.org/x?y#z"),
        ("homepage", "http://example.org:8080", "http://example.org:8080"),
        ("homepage", "https://user:secret@example.org/", None),
        ("homepage", "javascript:alert(1)", None),
        ("homepage", "https://example.org/\u202e", None),
        ("position", "/nix/store/abc-source/pkgs/x.nix:3", "pkgs/x.nix:3"),
        ("position", "pkgs/x.nix:3", "pkgs/x.nix:3"),
        ("position", "/home/somebody/x.nix:3", None),  # plain: ok
        ("position", "/nix/store/abc-source//home/x.nix:3", None),
        ("cpe", "cpe:2.3:a:b:c", "cpe:2.3:a:b:c"),
        ("cpe", "see http://x", None),
        ("purl", "pkg:deb/x@1", "pkg:deb/x@1"),
        ("purl", "pkg:deb/\u2066", None),
        ("description", "it's \x1b[8mhidden", "it's hidden"),
    ],
)
def test_further_texts_are_what_they_are_for_or_not_stated(
    field: str, text: str, expected: str | None
) -> None:
    assert getattr(package(**{field: text}), field) == expected


def test_what_was_remembered_is_looked_at_like_what_is_new() -> None:
    stored = answers.EVALUATION_RESULT.dump_json(package(version="1.0"))

    again = answers.EVALUATION_RESULT.validate_json(
        stored.replace(b'"1.0"', '"1.0\u202e"'.encode()), strict=True
    )

    assert isinstance(again, Found)
    assert again.version is None
