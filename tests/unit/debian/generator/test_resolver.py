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


def test_the_first_alternative_and_the_first_provider_by_name_are_taken() -> None:
    assert dependencies("app") == {"libc6", "data", "exim"}


def test_a_dependency_on_a_merged_package_is_one_on_its_unit() -> None:
    assert dependencies("app", units=GLIBC) == {"glibc", "data", "exim"}


def test_a_unit_does_not_depend_on_itself() -> None:
    assert dependencies("glibc", units=GLIBC) == frozenset()


def test_what_is_dropped_is_in_no_closure_and_neither_are_its_alternatives() -> None:
    assert dependencies("app", drop=("data", "exi*", "debconf")) == {"libc6", "postfix"}


def test_a_preference_stands_for_a_name_or_for_none() -> None:
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


def test_units_a_recipe_names_are_dependencies_and_wrappers_need_a_shell() -> None:
    units = {"data": {"env": {"X": "@other@/share:@out@/x"}, "path": ["app"]}}
    assert dependencies("data", units=units) == {"other", "app", "bash"}


def test_dependencies_written_out_replace_the_packages() -> None:
    assert dependencies("app", units={"app": {"dependencies": ["data"]}}) == {"data"}


def test_a_part_of_a_package_does_not_own_it() -> None:
    units = {"tool": {"debs": ["data"], "only": ["bin/tool"]}}
    assert "data" in dependencies("app", units=units)


def test_closing_follows_dependencies_and_interpreters_with_the_shell_they_are_wrapped_in() -> None:
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


def test_a_unit_does_not_depend_on_the_interpreter_it_is() -> None:
    index: Index = {"bash": {}}
    assert resolver(index).close(frozenset(["bash"]), lambda _: frozenset(["bash"])) == {
        "bash": frozenset()
    }


def test_a_package_the_release_lacks_is_named() -> None:
    with pytest.raises(Unresolvable, match="tool: the release has no missing"):
        resolver(INDEX, units={"tool": {"debs": ["missing"]}}).close(frozenset(["tool"]), nothing)


def test_a_package_that_may_be_missing_is_left_out() -> None:
    made = resolver(INDEX, units={"data": {"debs": ["data", "missing?", "other?"]}})
    assert made.debs(made.wanted.unit("data")) == ("data", "other")


def test_a_part_of_a_set_resolves_as_in_the_whole() -> None:
    made = resolver(INDEX, units=GLIBC)
    part = made.close(frozenset(["glibc"]), nothing)
    whole = made.close(frozenset(["app", "glibc"]), nothing)
    assert part.items() <= whole.items()
