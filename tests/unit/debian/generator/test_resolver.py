import pytest

from nix.debian.generator.resolver import Unresolvable
from nix.debian.generator.wanted import Unit
from tests.unit.debian.generator.wanting import Index, resolver

INDEX: Index = {
    "app": {"Depends": "libc6 (>= 2.34), data | other, mail-agent, debconf"},
    "data": {},
    "other": {},
    "libc6": {"Pre-Depends": "libgcc-s1"},
    "libgcc-s1": {"Depends": "libc6"},
    "postfix": {"Provides": "mail-agent"},
    "exim": {"Provides": "mail-agent (= 1)"},
}
GLIBC = {"glibc": {"debs": ["libc6", "libgcc-s1"]}}


def nothing(_: Unit) -> frozenset[str]:
    return frozenset()


def dependencies(name: str, index: Index = INDEX, **arguments: object) -> frozenset[str]:
    made = resolver(index, **arguments)
    return made.dependencies(made.wanted.unit(name))


def test_first_alternative_and_first_provider_by_name_are_chosen() -> None:
    assert dependencies("app") == {"libc6", "data", "exim"}


def test_dependency_on_a_merged_package_is_a_dependency_on_its_unit() -> None:
    assert dependencies("app", units=GLIBC) == {"glibc", "data", "exim"}


def test_unit_does_not_depend_on_itself() -> None:
    assert dependencies("glibc", units=GLIBC) == frozenset()


def test_dropped_packages_and_their_alternatives_are_in_no_closure() -> None:
    assert dependencies("app", drop=("data", "exi*", "debconf")) == {"libc6", "postfix"}


def test_preference_replaces_or_removes_a_name() -> None:
    assert dependencies("app", prefer={"mail-agent": "postfix", "data": ""}) == {
        "libc6",
        "postfix",
    }


def test_edges_are_added_and_cut_by_hand() -> None:
    assert dependencies("app", add={"app": ("terminfo",)}, cut={"app": ("libc6",)}) == {
        "data",
        "exim",
        "terminfo",
    }


def test_units_in_a_recipe_are_dependencies_and_wrappers_need_a_shell() -> None:
    units = {"data": {"env": {"X": "@other@/share:@out@/x"}, "path": ["app"]}}
    assert dependencies("data", units=units) == {"other", "app", "bash"}


def test_explicit_dependencies_replace_those_of_the_packages() -> None:
    assert dependencies("app", units={"app": {"dependencies": ["data"]}}) == {"data"}


def test_unit_with_a_part_of_a_package_does_not_own_it() -> None:
    units = {"tool": {"debs": ["data"], "only": ["bin/tool"]}}
    assert "data" in dependencies("app", units=units)


def test_closure_includes_interpreters_and_the_shell_of_their_wrappers() -> None:
    index: Index = {"a": {"Depends": "b"}, "b": {}, "perl": {}, "bash": {}}
    graph = resolver(index).close(
        frozenset("a"), lambda unit: frozenset(["perl"] if unit.name == "b" else [])
    )
    assert graph == {
        "a": frozenset("b"),
        "b": frozenset(("perl", "bash")),
        "perl": frozenset(),
        "bash": frozenset(),
    }


def test_interpreter_does_not_depend_on_itself() -> None:
    index: Index = {"bash": {}}
    assert resolver(index).close(frozenset(["bash"]), lambda _: frozenset(["bash"])) == {
        "bash": frozenset()
    }


def test_error_names_the_missing_package() -> None:
    with pytest.raises(Unresolvable, match="tool: the release has no missing"):
        resolver(INDEX, units={"tool": {"debs": ["missing"]}}).close(frozenset(["tool"]), nothing)


def test_optional_package_is_left_out_if_missing() -> None:
    made = resolver(INDEX, units={"data": {"debs": ["data", "missing?", "other?"]}})
    assert made.debs(made.wanted.unit("data")) == ("data", "other")


def test_part_of_a_set_resolves_as_in_the_whole_set() -> None:
    made = resolver(INDEX, units=GLIBC)
    part = made.close(frozenset(["glibc"]), nothing)
    whole = made.close(frozenset(["app", "glibc"]), nothing)
    assert part.items() <= whole.items()
