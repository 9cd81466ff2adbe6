from app.builder.images.layering.parts import divide
from app.builder.images.layering.references import needed_paths, referrers_first
from app.builder.nix.closure import Closure, StoreObject
from tests.unit.builder.images.layering.closures import closure, store_path

Graph = dict[str, tuple[int, list[str]]]


def package(name: str, libraries: int) -> Graph:
    """A package that refers to so many libraries of its own."""
    names = [f"{name}-lib{i}" for i in range(libraries)]
    return {name: (1, names), **{library: (1, []) for library in names}}


def parts(paths: Closure) -> dict[str, int]:
    divided = divide(needed_paths(paths, referrers_first(paths)))
    return {path.name: part for path, part in divided.items()}


def together(graph: Graph) -> set[frozenset[str]]:
    numbers = parts(closure(graph))
    return {
        frozenset(name for name, number in numbers.items() if number == part)
        for part in numbers.values()
    }


def test_a_part_is_what_one_package_needs_and_the_next_is_divided_without_it() -> None:
    large, medium = package("large", 9), package("medium", 4)
    medium["medium"][1].append("large-lib0")

    assert together(large | medium) == {frozenset(large), frozenset(medium)}


def test_images_of_two_packages_that_need_a_large_one_have_its_part_in_common() -> None:
    language = package("language", 20)
    one: Graph = {"one": (1, ["language"])}
    other: Graph = {"other": (1, ["language", "other-lib"]), "other-lib": (1, [])}

    assert frozenset(language) in together(language | one)
    assert frozenset(language) in together(language | other)


def test_packages_that_need_little_share_the_last_part() -> None:
    large, little, least = package("large", 9), package("little", 2), package("least", 0)

    assert together(large | little | least) == {frozenset(large), frozenset(little | least)}


def test_there_are_at_most_nine_parts() -> None:
    graph: Graph = {}
    for number in range(12):
        graph |= package(f"p{number}", 3 + number)

    assert len(together(graph)) == 9
    assert parts(closure(graph))["p0"] == parts(closure(graph))["p3-lib0"] == 8


def test_a_cycle_of_references_is_in_the_last_part() -> None:
    large = closure(package("large", 9))
    one, other, below = store_path("one"), store_path("other"), store_path("below")
    cycle = [
        StoreObject(one, 1, (other,)),
        StoreObject(other, 1, tuple(sorted((one, below)))),
        StoreObject(below, 1, ()),
    ]

    numbers = parts(Closure([*large.objects.values(), *cycle]))

    assert numbers["one"] == numbers["other"] == numbers["below"] == 8
    assert numbers["large"] == 0


def test_an_empty_closure_has_no_parts() -> None:
    assert parts(Closure([])) == {}
