from pathlib import Path

from nix.debian.generator.lock import read_lock
from nix.debian.generator.release import ARCHITECTURES
from nix.debian.generator.setdir import TREE, SetDirectory
from nix.debian.generator.wanted import WANTED, read_wanted, wanted_digest

AMD64, ARM64 = ARCHITECTURES["x86_64-linux"], ARCHITECTURES["aarch64-linux"]
INDEX = {
    "python3": {"Depends": "python3.13 (>= 3.13.5), libpython3-stdlib"},
    "perl": {"Depends": "perl-base (= 5.40), perl-modules-5.40 (>= 5.40), libperl5.40 (= 5.40)"},
    "openssl": {"Depends": "libc6, libssl3t64 (>= 3.5)"},
}


def test_numbers_in_package_names_come_from_the_release() -> None:
    wanted = read_wanted("small", INDEX, AMD64)
    assert wanted.unit("perl").debs == (
        "perl-base",
        "perl",
        "perl-modules-5.40",
        "libperl5.40",
    )
    assert wanted.unit("python3").recipe["links"] == {"bin/python": "python3.13"}
    assert "python3.13-minimal" in wanted.runtime


def test_unknown_number_stays_unresolvable() -> None:
    assert "python{python}" in read_wanted("small", {}, AMD64).unit("python3").debs


def test_architecture_is_filled_in() -> None:
    on_amd64, on_arm64 = (
        (
            wanted.unit("openjdk-{java}-jre-headless").recipe["links"]["bin/java"],
            min(wanted.unit("zsh").recipe["redirect"]),
        )
        for wanted in (read_wanted("small", INDEX, machine) for machine in (AMD64, ARM64))
    )
    assert on_amd64 == (
        "../lib/jvm/java-{java}-openjdk-amd64/bin/java",
        "/usr/lib/x86_64-linux-gnu/zsh",
    )
    assert on_arm64 == (
        "../lib/jvm/java-{java}-openjdk-arm64/bin/java",
        "/usr/lib/aarch64-linux-gnu/zsh",
    )


def test_full_set_includes_the_small_one() -> None:
    small, full = read_wanted("small", INDEX, AMD64), read_wanted("full", INDEX, AMD64)
    assert small.attributes.items() < full.attributes.items()
    assert full.attributes["python313"] == "python3"
    assert (small.units, small.rules) == (full.units, full.rules)


def test_unit_without_a_table_is_the_package_of_its_name() -> None:
    unit = read_wanted("small", INDEX, AMD64).unit("hello")
    assert (unit.debs, unit.outputs, unit.recipe) == (("hello",), ("out",), {})


def test_digest_changes_with_any_table(tmp_path: Path) -> None:
    for path in WANTED.glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = wanted_digest("small", tmp_path)
    assert before == wanted_digest("small")
    with (tmp_path / "units.toml").open("a") as file:
        file.write("# more\n")
    assert wanted_digest("small", tmp_path) != before


def test_committed_locks_are_current() -> None:
    for system in ("x86_64-linux", "aarch64-linux"):
        lock = read_lock(SetDirectory(TREE).lock(system))
        assert lock.wanted == wanted_digest("small"), "run generate.py lock --system " + system
        assert len(lock.attributes) == len(read_wanted("small", {}, AMD64).attributes)
