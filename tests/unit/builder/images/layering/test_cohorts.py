from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.builder.images.layering.cohorts import FLOOR, learn_profile, unreferenced
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import LayerProfile
from app.builder.nix.closure import Closure, StoreObject, StorePath
from tests.unit.builder.images.layering.closures import closure, store_path

MB = 1_000_000

# Two programs with two libraries each of their own, and what both need.
SET = closure(
    {
        "editor-1": (100, ["libedit-1", "libview-1", "libc-1"]),
        "browser-1": (100, ["libhtml-2", "libpng-1", "libc-1", "engine-1"]),
        "libedit-1": (100, ["libc-1"]),
        "libview-1": (100, ["libedit-1"]),
        "libhtml-2": (100, ["libpng-1"]),
        "libpng-1": (100, ["libc-1"]),
        "engine-1": (FLOOR, ["libc-1"]),
        "libc-1": (100, []),
    }
)


# Twenty programs with libraries of their own, a large part, and what all need.
MANY = closure(
    {
        **{
            name: row
            for n in range(20)
            for name, row in {
                f"program{n}-1": (3 * MB, [f"lib{n}-1", f"data{n}-1", "libc-1"]),
                f"lib{n}-1": (3 * MB, ["libc-1"]),
                f"data{n}-1": (FLOOR, []),
            }.items()
        },
        "libc-1": (3 * MB, []),
    }
)


@pytest.mark.slow
def test_packages_that_always_occur_together_form_a_cohort() -> None:
    plan = learn_profile(MANY, unreferenced(MANY))

    own = {plan.entries[f"program{n}"].cohort for n in range(20)}
    assert own == {plan.entries[f"lib{n}"].cohort for n in range(20)}
    assert len(own) == 20
    assert {plan.entries[f"data{n}"].cohort for n in range(20)} == {None}


@pytest.mark.slow
def test_a_large_package_that_no_update_rebuilds_shares_a_layer() -> None:
    """What a tenth of all packages use changes only when everything does."""
    programs = {f"program{n}-1": (3 * MB, [f"part{n}-1", "libc-1", "locale-1"]) for n in range(20)}
    parts = {f"part{n}-1": (FLOOR, ["libc-1", "locale-1"]) for n in range(20)}
    common: dict[str, tuple[int, list[str]]] = {"libc-1": (FLOOR, []), "locale-1": (100, [])}
    packages = closure({**programs, **parts, **common})

    plan = learn_profile(packages, unreferenced(packages))

    assert plan.entries["libc"].cohort is not None
    assert plan.entries["libc"].cohort == plan.entries["locale"].cohort
    assert {plan.entries[f"part{n}"].cohort for n in range(20)} == {None}


def test_users_are_counted_through_references_and_by_name() -> None:
    plan = learn_profile(SET, unreferenced(SET))

    assert plan.packages == 8
    assert {name: entry.users for name, entry in plan.entries.items()} == {
        "editor": 1,
        "browser": 1,
        "libedit": 3,
        "libview": 2,
        "libhtml": 2,
        "libpng": 3,
        "engine": 2,
        "libc": 8,
    }


def test_two_versions_of_a_package_have_their_users_together() -> None:
    both = closure({"a-1": (1, ["c-1"]), "b-1": (1, ["c-2"]), "c-1": (1, []), "c-2": (1, ["c-1"])})

    assert learn_profile(both, unreferenced(both)).entries["c"].users == 4


@pytest.mark.slow
def test_images_always_have_certificates_and_half_of_them_a_shell() -> None:
    always = ["nss-cacert-3", "ca-certificates-2023", "iana-etc-1", "netbase-6"]
    shell = ["bash-5", "bash-interactive-5", "coreutils-9", "moreutils-0", "nano-7"]
    programs = [f"program{number}-1" for number in range(40)]
    packages = closure(
        dict.fromkeys((*always, *shell), (MB // 10, ())) | dict.fromkeys(programs, (3 * MB, ()))
    )

    plan = learn_profile(packages, packages.paths)

    def cohort(name: str) -> int | None:
        return plan.entries[unversioned(name)].cohort

    (certificates,) = {cohort(name) for name in always}
    (of_shell,) = {cohort(name) for name in shell}
    # Drawn one by one, as the programs are, they would hardly ever meet.
    assert len({cohort(name) for name in programs}) == len(programs)
    assert certificates is not None
    assert of_shell is not None


def test_what_is_requested_need_not_be_unreferenced() -> None:
    plan = learn_profile(SET, (store_path("libpng-1"), store_path("libview-1")))

    # Images of these two do not have the browser.
    assert plan.entries["browser"].cohort is None
    assert plan.entries["libview"].cohort == plan.entries["libedit"].cohort == 0


def test_unreferenced_paths_are_guessed_to_be_requested() -> None:
    assert [path.name for path in sorted(unreferenced(SET), key=lambda p: p.name)] == [
        "browser-1",
        "editor-1",
    ]


def test_a_profile_of_no_packages_is_refused() -> None:
    with pytest.raises(ValueError, match="no package is requested"):
        learn_profile(SET, ())


def test_a_cycle_is_refused_and_named() -> None:
    a, b = store_path("a-1"), store_path("b-1")
    cycle = Closure([StoreObject(a, 1, (b,)), StoreObject(b, 1, (a,))])

    with pytest.raises(ValueError, match="part of a cycle"):
        learn_profile(cycle, [a])


@st.composite
def package_sets(draw: st.DrawFn) -> Closure:
    count = draw(st.integers(1, 40))
    paths = [store_path(f"p{i % 25}-{i}") for i in range(count)]
    return Closure(
        StoreObject(
            path,
            draw(st.integers(0, 2 * FLOOR)),
            tuple(paths[i] for i in sorted(draw(st.sets(st.integers(0, place - 1), max_size=4))))
            if place
            else (),
        )
        for place, path in enumerate(paths)
    )


@pytest.mark.slow
@given(package_sets(), st.integers(0, 2**32))
@settings(max_examples=30)
def test_the_order_in_which_paths_come_is_without_effect(packages: Closure, seed: int) -> None:
    shuffled = list(packages.objects.values())
    Random(seed).shuffle(shuffled)
    requested = list(unreferenced(packages))
    Random(seed).shuffle(requested)

    assert learn_profile(Closure(shuffled), requested) == learn_profile(
        packages, unreferenced(packages)
    )


@pytest.mark.slow
@given(package_sets())
@settings(max_examples=30)
def test_users_are_the_packages_whose_closure_holds_the_name(packages: Closure) -> None:
    plan = learn_profile(packages, unreferenced(packages))

    for name, entry in plan.entries.items():
        holders = [
            path
            for path in packages.paths
            if any(unversioned(other.name) == name for other in _needs(packages, path))
        ]
        assert entry.users == len(holders)


@pytest.mark.slow
@given(package_sets())
@settings(max_examples=30)
def test_a_cohort_has_no_large_member_that_updates_rebuild(packages: Closure) -> None:
    plan = learn_profile(packages, unreferenced(packages))

    def is_rebuilt(path: StorePath) -> bool:
        """Return whether it needs anything that less than a tenth of the packages use."""
        needed = {unversioned(other.name) for other in _needs(packages, path)}
        return any(plan.entries[name].users * 10 <= len(packages) for name in needed)

    large = {
        unversioned(path.name)
        for path, item in packages.objects.items()
        if item.nar_size >= FLOOR and is_rebuilt(path)
    }
    members: dict[int, list[str]] = {}
    for name, entry in plan.entries.items():
        if entry.cohort is not None:
            members.setdefault(entry.cohort, []).append(name)
    assert all(large.isdisjoint(names) for names in members.values())
    assert sorted(members) == list(range(len(members)))


def _needs(packages: Closure, path: StorePath) -> set[StorePath]:
    found = {path}
    for reference in packages[path].references:
        found |= _needs(packages, reference)
    return found


@pytest.mark.slow
def test_two_architectures_have_one_profile_with_the_cohorts_of_each() -> None:
    """The second architecture is the same set with other store paths, here another version."""

    names = {item.path.name: (item.nar_size, item.references) for item in SET.objects.values()}
    both = closure(
        {name: (size, [one.name for one in below]) for name, (size, below) in names.items()}
        | {
            f"{name}.9": (size, [f"{one.name}.9" for one in below])
            for name, (size, below) in names.items()
        }
    )
    first = [path for path in unreferenced(both) if not path.name.endswith(".9")]
    second = [path for path in unreferenced(both) if path.name.endswith(".9")]

    one, two = learn_profile(SET, unreferenced(SET)), learn_profile(both, first, second)

    assert {name: entry.users for name, entry in two.entries.items()} == {
        name: 2 * entry.users for name, entry in one.entries.items()
    }
    assert groups(two) == groups(one)


def groups(profile: LayerProfile) -> set[frozenset[str]]:
    found: dict[int, set[str]] = {}
    for name, entry in profile.entries.items():
        if entry.cohort is not None:
            found.setdefault(entry.cohort, set()).add(name)
    return {frozenset(names) for names in found.values()}
