import pytest

from nix.debian.generator.relations import clauses, upstream_version


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", ()),
        ("libc6", (("libc6",),)),
        ("libc6 (>= 2.34), zlib1g(>=1:1.1.4)", (("libc6",), ("zlib1g",))),
        ("awk | gawk (>= 5) | mawk", (("awk", "gawk", "mawk"),)),
        ("python3:any (>= 3.7~)", (("python3",),)),
        ("perl:native [amd64 !i386] <!nocheck>, a", (("perl",), ("a",))),
        ("libstdc++6 (>= 12), g++-12, gtk+3.0", (("libstdc++6",), ("g++-12",), ("gtk+3.0",))),
        ("a,, b ,", (("a",), ("b",))),
    ],
)
def test_clauses_are_alternatives_by_name(
    field: str, expected: tuple[tuple[str, ...], ...]
) -> None:
    assert clauses(field) == expected


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("2.10-3", "2.10"),
        ("1:2.39.5-0+deb12u2", "2.39.5"),
        ("20230311+deb12u1", "20230311+deb12u1"),
        ("2:1.8.4-2+deb12u2", "1.8.4"),
        ("1.2-rc1-5", "1.2-rc1"),
    ],
)
def test_upstream_version_has_neither_epoch_nor_revision(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream
