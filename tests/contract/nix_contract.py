"""What every implementation of ``Nix`` does.

A subclass of ``NixContract`` with a fixture ``make_nix`` runs these tests.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.door import (
    Allowed,
    DerivationsMissing,
    Evaluation,
    EvaluationStopped,
    InputUnreachable,
    Nix,
    OneOfManyFailed,
    PackageSet,
    RealiseOptions,
)
from app.builder.nix.results import (
    Ambiguous,
    EvaluationResult,
    Failed,
    Found,
    License,
    NotAPackage,
    NotFound,
)
from app.builder.nix.store import Store
from app.errors import (
    BuildFailed,
    BuildTimedOut,
    EvaluationFailed,
    NotCached,
    StoreUnavailable,
)
from tests.fakes.package_set import (
    Aborts,
    Attribute,
    Endless,
    Link,
    Package,
    Packages,
    Throws,
    Unreachable,
    Value,
    on_system,
    only,
    package,
)

PACKAGES: Mapping[str, Attribute] = {
    "hello": package(
        "hello-2.12",
        {"bin/hello": "#!/bin/sh\necho hello\n", "share/doc/hello": "text"},
        licenses=(License("GPL-3.0-or-later", free=True, spdx="GPL-3.0-or-later"),),
        description="A program that greets",
        homepage="https://example.org/hello",
        documentation="https://example.org/hello/manual",
        position="pkgs/hello/default.nix:30",
        cpe="cpe:2.3:a:gnu:hello:2.12:*:*:*:*:*:*:*",
        purl="pkg:generic/hello@2.12",
        priority=4,
        main_program="hello",
    ),
    "bashInteractive": package("bash-interactive-5.2"),
    "_2ping": package("2ping-4.5"),
    "dotted.name": package("dotted"),
    "Twin": package("twin-1"),
    "tWin": package("twin-2"),
    "python3Packages": Packages({"numPy": package("numpy-1"), "_3to2": package("3to2-1")}),
    "plain": {"inner": package("inner-1")},
    "unfree": package("unfree-1", licenses=(License("unfree", free=False),)),
    "insecure": package("insecure-1", vulnerabilities=("CVE-2000-0001",)),
    "broken": package("broken-1", broken=True),
    "refusing": package("refusing-1", refusal="refusing refuses"),
    "throws": Throws("removed in 2020"),
    "aborts": Aborts("by all means"),
    "endless": Endless(),
    "unreachable": Unreachable("http://127.0.0.1:9/file"),
    "override": Value("a function"),
    "version": Value("a string"),
    "nothing": Value("null"),
    "leaf": package("leaf-1.0", "leaf\n", log=("building the leaf",)),
    "tree": package("tree-1.0", {"share/leaf": "@leaf@\n", "share/link": Link("@leaf@")}),
    "many": Package(
        name="many-1.0", outputs={"bin": {"": "bin\n"}, "out": {"": "@leaf@\n"}, "man": {"": "m"}}
    ),
    "failing": package("failing-1.0", fails=True, log=("first line", "last line")),
    "dependent": package("dependent-1.0", "@failing@\n"),
    "slow": package("slow-1.0", build_seconds=300, log=("slow begins",)),
    "far": package("far-1.0", system="m68k-linux"),
    "intel": only("x86_64-linux", package("intel-1.0")),
    "arm": only("aarch64-linux", package("arm-1.0")),
    "cached": package("cached-1.0", is_cached=True),
}
ENDING = {
    "aborts": (EvaluationFailed, "by all means"),
    "endless": (EvaluationStopped, r"stopped after 1 s \(evaluation_seconds of source team\)"),
}
REALISE_OPTIONS = RealiseOptions(source="team", seconds=100, build=True, substituters=())


class NixUnderTest(Protocol):
    """An implementation of Nix, and access to its store.

    ``delete`` removes a path as a garbage collector would, and returns False if it is kept.
    ``store_directory`` is where the trees of store paths are.  ``cache`` are the substituters that
    have the packages with ``is_cached``.
    """

    package_set: PackageSet
    system: str

    @property
    def store_directory(self) -> Path: ...

    @property
    def nix(self) -> Nix: ...

    @property
    def store(self) -> Store: ...

    @property
    def cache(self) -> tuple[str, ...]: ...

    async def delete(self, path: StorePath) -> bool: ...


MakeNix = Callable[..., NixUnderTest]


class NixContract:
    """The promises of the door to Nix.

    ``make_nix`` takes attributes, and ``set_error`` for a set that does not evaluate.
    """

    @pytest.fixture
    def subject(self, make_nix: MakeNix) -> NixUnderTest:
        return make_nix(PACKAGES)

    @pytest.fixture(params=["kept", "own process", "untrusted", "read-only", "read-only untrusted"])
    def evaluation(self, request: pytest.FixtureRequest, subject: NixUnderTest) -> Evaluation:
        """Each way of evaluation in turn."""
        return evaluation_of(subject, request.param)

    # ---- evaluation

    @pytest.mark.parametrize(
        ("name", "attribute"),
        [
            ("hello", "hello"),
            ("bashinteractive", "bashInteractive"),
            ("2ping", "_2ping"),
            ("dotted.name", "dotted.name"),
            ("python3packages.numpy", "python3Packages.numPy"),
            ("python3packages.3to2", "python3Packages._3to2"),
            ("plain.inner", "plain.inner"),
            ("many.man", "many.man"),
        ],
    )
    async def test_a_name_finds_its_attribute(
        self, subject: NixUnderTest, name: str, attribute: str
    ) -> None:
        assert (await found(subject, name)).attribute == attribute

    async def test_a_package_has_its_metadata(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        names = ["hello", "unfree", "insecure", "broken"]

        hello, unfree, insecure, broken = await subject.nix.evaluate(evaluation, names)

        assert isinstance(hello, Found)
        assert (hello.name, hello.pname, hello.version) == ("hello-2.12", "hello", "2.12")
        assert hello.licenses == (License("GPL-3.0-or-later", free=True, spdx="GPL-3.0-or-later"),)
        assert hello.description == "A program that greets"
        assert hello.homepage == "https://example.org/hello"
        assert hello.documentation == "https://example.org/hello/manual"
        assert hello.position == "pkgs/hello/default.nix:30"
        assert hello.cpe == "cpe:2.3:a:gnu:hello:2.12:*:*:*:*:*:*:*"
        assert hello.purl == "pkg:generic/hello@2.12"
        assert (hello.main_program, hello.priority) == ("hello", 4)
        assert (hello.derivation.name, hello.path.name) == ("hello-2.12.drv", "hello-2.12")
        assert isinstance(unfree, Found)
        assert unfree.licenses == (License("unfree", free=False),)
        assert isinstance(insecure, Found)
        assert insecure.vulnerabilities == ("CVE-2000-0001",)
        assert isinstance(broken, Found)
        assert broken.broken

    async def test_the_first_output_is_chosen_unless_the_name_has_another(
        self, subject: NixUnderTest
    ) -> None:
        first, man = await found(subject, "many"), await found(subject, "many.man")

        assert (first.output, first.path.name) == ("bin", "many-1.0-bin")
        assert (man.output, man.path.name) == ("man", "many-1.0-man")
        assert first.derivation == man.derivation

    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("nope", NotFound()),
            ("hello.nope", NotFound()),
            ("override.nope", NotFound()),
            ("twin", Ambiguous(candidates=("Twin", "tWin"))),
            ("override", NotAPackage(attribute="override", kind="a function")),
            ("version", NotAPackage(attribute="version", kind="a string")),
            ("nothing", NotAPackage(attribute="nothing", kind="null")),
            ("plain", NotAPackage(attribute="plain", kind="a set")),
            (
                "python3packages",
                NotAPackage(attribute="python3Packages", kind="a set of packages"),
            ),
            ("throws", Failed()),
            ("throws.inner", Failed()),
        ],
    )
    async def test_a_name_without_a_package_has_its_reason(
        self, subject: NixUnderTest, name: str, result: EvaluationResult
    ) -> None:
        for way in ("kept", "untrusted", "read-only", "read-only untrusted"):
            results = await subject.nix.evaluate(evaluation_of(subject, way), [name, "hello"])

            assert results[0] == result
            assert isinstance(results[1], Found)

    @pytest.mark.parametrize("way", ["read-only", "read-only untrusted"])
    async def test_a_read_only_evaluation_writes_no_derivations(
        self, subject: NixUnderTest, way: str
    ) -> None:
        tree, leaf = await found(subject, "tree", way=way), await found(subject, "leaf", way=way)
        places = [subject.store_directory / one.derivation.base for one in (tree, leaf)]

        assert not any(place.exists() for place in places)
        assert await found(subject, "tree") == tree
        assert all(place.exists() for place in places)

    async def test_a_set_may_have_other_packages_for_another_system(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        names = ["intel", "arm", "hello"]

        results = {
            system: await subject.nix.evaluate(replace(evaluation, system=system), names)
            for system in ("x86_64-linux", "aarch64-linux")
        }

        assert [type(one) for one in results["x86_64-linux"]] == [Found, NotFound, Found]
        assert [type(one) for one in results["aarch64-linux"]] == [NotFound, Found, Found]
        one, other = (results[system][2] for system in results)
        assert isinstance(one, Found)
        assert isinstance(other, Found)
        assert one.path != other.path

    async def test_a_package_that_refuses_keeps_its_metadata(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        (refused,) = await subject.nix.evaluate(evaluation, ["refusing"])

        assert isinstance(refused, Failed)
        assert (refused.attribute, refused.pname, refused.message) == ("refusing", "refusing", "")

    @pytest.mark.parametrize(
        ("name", "message"), [("throws", "removed in 2020"), ("refusing", "refusing refuses")]
    )
    async def test_explain_raises_the_error_of_the_package(
        self, subject: NixUnderTest, evaluation: Evaluation, name: str, message: str
    ) -> None:
        with pytest.raises(EvaluationFailed, match=f"^{message}$"):
            await subject.nix.evaluate(evaluation, [name], explain=True)

    async def test_explain_returns_a_package_without_error(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        (hello,) = await subject.nix.evaluate(evaluation, ["hello"], explain=True)

        assert isinstance(hello, Found)

    @pytest.mark.parametrize("name", ENDING)
    async def test_an_uncatchable_error_is_raised(
        self, subject: NixUnderTest, evaluation: Evaluation, name: str
    ) -> None:
        error, message = ENDING[name]
        seconds = 1 if name == "endless" else evaluation.seconds

        with pytest.raises(error, match=message):
            await subject.nix.evaluate(replace(evaluation, seconds=seconds), [name])

    async def test_an_uncatchable_error_among_several_names_is_raised_by_a_kept_process_as_such(
        self, subject: NixUnderTest
    ) -> None:
        with pytest.raises(OneOfManyFailed):
            await subject.nix.evaluate(evaluation_of(subject, "kept"), ["hello", "aborts"])
        with pytest.raises(EvaluationFailed, match="by all means") as failure:
            await subject.nix.evaluate(evaluation_of(subject, "own process"), ["hello", "aborts"])

        assert not isinstance(failure.value, OneOfManyFailed)

    async def test_an_unreachable_host_is_not_an_error_of_the_package(
        self, subject: NixUnderTest
    ) -> None:
        for way in ("kept", "own process"):
            with pytest.raises(InputUnreachable, match=r"source team needs http://127\.0\.0\.1:9"):
                await subject.nix.evaluate(evaluation_of(subject, way), ["unreachable"])

    async def test_an_untrusted_set_cannot_fetch(self, subject: NixUnderTest) -> None:
        untrusted = evaluation_of(subject, "untrusted")

        (result,) = await subject.nix.evaluate(untrusted, ["unreachable"])

        assert result == Failed()

    async def test_a_set_with_an_error_fails_for_every_name_and_for_none(
        self, make_nix: MakeNix
    ) -> None:
        subject = make_nix(PACKAGES, set_error="the set is broken")

        for names in (["hello"], []):
            with pytest.raises(EvaluationFailed, match="the set is broken"):
                await subject.nix.evaluate(evaluation_of(subject, "kept"), names)

    async def test_no_names_have_no_results(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        assert await subject.nix.evaluate(evaluation, []) == ()

    async def test_a_directory_has_no_unpinned_inputs(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        assert await subject.nix.unpinned(evaluation) == ()

    # ---- names

    async def test_look_lists_the_attributes_until_one_ends_the_evaluation(
        self, subject: NixUnderTest, evaluation: Evaluation
    ) -> None:
        looked = await subject.nix.scan(evaluation)

        assert looked.names == tuple(sorted(on_system(PACKAGES, subject.system)))
        ended = looked.names[looked.failed_at]
        assert ended == "aborts"
        assert looked.failure is not None
        assert "by all means" in looked.failure.message
        assert [one.number for one in looked.attributes] == list(range(looked.failed_at))

    async def test_scan_continues_after_an_attribute(self, make_nix: MakeNix) -> None:
        kept = ("hello", "aborts", "plain", "python3Packages", "throws", "version")
        subject = make_nix({name: PACKAGES[name] for name in kept})

        looked = await subject.nix.scan(evaluation_of(subject, "kept"), start=1)

        assert (looked.names, looked.failed_at, looked.failure) == ((), -1, None)
        assert [(one.number, one.kind, one.inner) for one in looked.attributes] == [
            (1, "package", ()),
            (2, "set", ()),
            (3, "packages", ("_3to2", "numPy")),
            (4, "other", ()),
            (5, "other", ()),
        ]

    async def test_look_takes_names(self, subject: NixUnderTest) -> None:
        names = ["hello", "python3packages.numpy", "nope", "throws", "plain"]

        looked = await subject.nix.scan(evaluation_of(subject, "kept"), only=names)

        kinds = [one.kind for one in looked.attributes]
        assert kinds == ["package", "package", "other", "other", "set"]
        assert (looked.names, looked.failure) == ((), None)

    @pytest.mark.parametrize(
        ("name", "inner"),
        [
            ("python3packages", ("_3to2", "numPy")),
            ("plain", ("inner",)),
            ("version", ()),
            ("nope", ()),
        ],
    )
    async def test_the_names_within_a_set_are_listed(
        self, subject: NixUnderTest, evaluation: Evaluation, name: str, inner: tuple[str, ...]
    ) -> None:
        assert await subject.nix.names_within(evaluation, name) == inner

    async def test_the_names_within_a_package_are_those_of_a_derivation(
        self, subject: NixUnderTest
    ) -> None:
        within = await subject.nix.names_within(evaluation_of(subject, "kept"), "many")

        assert {"bin", "man", "out", "drvPath", "name"} <= set(within)

    # ---- builds and downloads

    async def test_a_package_is_built_with_what_it_refers_to(self, subject: NixUnderTest) -> None:
        tree, leaf = await found(subject, "tree"), await found(subject, "leaf")

        lines = await realise(subject, tree)

        closure = await subject.store.closure([tree.path])
        assert set(closure.paths) == {tree.path, leaf.path}
        assert closure[tree.path].references == (leaf.path,)
        assert (closure[leaf.path].nar_size, closure[tree.path].nar_size) == (120, 744)
        archive = "ea5ae6fe88ada6676107527b2680dc20437ee0ff5a7c276db270c7e465153b50"
        assert closure[leaf.path].nar_hash == archive
        assert f"building {leaf.derivation}" in lines
        assert "leaf-1.0> building the leaf" in lines

    async def test_a_valid_path_is_a_tree_in_the_store(self, subject: NixUnderTest) -> None:
        hello, tree = await found(subject, "hello"), await found(subject, "tree")
        leaf = await found(subject, "leaf")

        await realise(subject, hello)
        await realise(subject, tree)

        program = subject.store_directory / hello.path.base / "bin/hello"
        share = subject.store_directory / tree.path.base / "share"
        assert program.read_text() == "#!/bin/sh\necho hello\n"
        assert os.access(program, os.X_OK)
        assert (share / "leaf").read_text() == f"{leaf.path}\n"
        assert str((share / "link").readlink()) == str(leaf.path)

    async def test_an_output_has_its_own_closure(self, subject: NixUnderTest) -> None:
        many = await found(subject, "many")

        await realise(subject, many)

        assert (await subject.store.closure([many.path])).paths == (many.path,)

    async def test_a_valid_path_is_not_built_again(self, subject: NixUnderTest) -> None:
        leaf = await found(subject, "leaf")
        await realise(subject, leaf)

        lines = await realise(subject, leaf)

        assert lines == []

    @pytest.mark.parametrize("name", ["failing", "dependent"])
    async def test_a_failed_build_has_the_derivation_and_its_log(
        self, subject: NixUnderTest, name: str
    ) -> None:
        package = await found(subject, name)

        with pytest.raises(BuildFailed) as failure:
            await realise(subject, package)

        derivation = (await found(subject, "failing")).derivation
        assert failure.value.derivation == str(derivation)
        assert failure.value.log == ("first line", "last line")
        assert failure.value.message == (
            f"{derivation} failed with exit code 3: first line | last line"
        )

    async def test_a_build_for_another_system_fails(self, subject: NixUnderTest) -> None:
        far = await found(subject, "far")

        with pytest.raises(BuildFailed, match=r"far-1\.0\.drv can only be built on m68k-linux"):
            await realise(subject, far)

    async def test_a_build_ends_with_its_time(self, subject: NixUnderTest) -> None:
        slow = await found(subject, "slow")

        with pytest.raises(
            BuildTimedOut,
            match=r"stopped after 4 s \(build_seconds of source team\).*slow-1\.0\.drv",
        ):
            await realise(subject, slow, replace(REALISE_OPTIONS, seconds=4))

    async def test_a_source_that_may_not_build_lists_what_is_missing(
        self, subject: NixUnderTest
    ) -> None:
        tree = await found(subject, "tree")

        with pytest.raises(NotCached, match=r"build = false\); not there: tree-1\.0") as failure:
            await realise(subject, tree, replace(REALISE_OPTIONS, build=False))

        assert failure.value.detail == {"paths": [str(tree.path)]}

    async def test_a_source_that_may_not_build_has_what_is_valid(
        self, subject: NixUnderTest
    ) -> None:
        leaf = await found(subject, "leaf")
        await realise(subject, leaf)

        await realise(subject, leaf, replace(REALISE_OPTIONS, build=False))

    async def test_a_binary_cache_is_used_whether_the_source_may_build_or_not(
        self, subject: NixUnderTest
    ) -> None:
        cached, cache = await found(subject, "cached"), subject.cache
        for build in (True, False):
            options = replace(REALISE_OPTIONS, build=build, substituters=cache)

            lines = await realise(subject, cached, options)

            assert lines == [f"fetching {cached.path} from {lines[0].rpartition(' ')[2]}"]
            assert await subject.delete(cached.path)

    async def test_a_claimed_path_is_refused(self, subject: NixUnderTest) -> None:
        leaf, tree = await found(subject, "leaf"), await found(subject, "tree")
        for build in (True, False):
            with pytest.raises(BuildFailed, match=f"has no output out at {tree.path}"):
                await realise(
                    subject, replace(leaf, path=tree.path), replace(REALISE_OPTIONS, build=build)
                )

    async def test_what_is_built_needs_derivations_and_what_is_cached_does_not(
        self, subject: NixUnderTest
    ) -> None:
        cached = await found(subject, "cached", way="read-only")
        options = replace(REALISE_OPTIONS, build=False, substituters=subject.cache)
        assert not subject.nix.needs_derivations(options)
        assert await realise(subject, cached, options)

        tree = await found(subject, "tree", way="read-only")
        assert subject.nix.needs_derivations(REALISE_OPTIONS)
        for work in (realise(subject, tree), subject.nix.preview([tree], REALISE_OPTIONS)):
            with pytest.raises(DerivationsMissing):
                await work

        assert await found(subject, "tree") == tree
        assert await realise(subject, tree)

    async def test_a_deleted_derivation_is_reported(self, subject: NixUnderTest) -> None:
        leaf = await found(subject, "leaf", way="own process")
        assert await subject.delete(leaf.derivation)

        with pytest.raises(DerivationsMissing):
            await realise(subject, leaf)

        assert await found(subject, "leaf", way="own process") == leaf
        await realise(subject, leaf)

    # ---- previews

    async def test_a_preview_has_what_would_be_built_and_builds_nothing(
        self, subject: NixUnderTest
    ) -> None:
        tree, leaf = await found(subject, "tree"), await found(subject, "leaf")

        preview = await subject.nix.preview([tree, leaf], REALISE_OPTIONS)

        assert preview.builds == {tree.derivation, leaf.derivation}
        assert (preview.objects, preview.local, preview.cached) == ({}, frozenset(), {})
        assert preview.unknown == {tree.path, leaf.path}
        with pytest.raises(StoreUnavailable):
            await subject.store.closure([leaf.path])

    async def test_a_preview_has_the_closure_of_what_is_valid(self, subject: NixUnderTest) -> None:
        tree, leaf = await found(subject, "tree"), await found(subject, "leaf")
        await realise(subject, tree)

        for build in (True, False):
            preview = await subject.nix.preview([tree], replace(REALISE_OPTIONS, build=build))

            assert preview.local == preview.objects.keys() == {tree.path, leaf.path}
            assert preview.objects[tree.path].references == (leaf.path,)
            assert not preview.builds | preview.unavailable | preview.unknown

    async def test_a_preview_has_what_a_binary_cache_has(self, subject: NixUnderTest) -> None:
        cached = await found(subject, "cached")
        for build in (True, False):
            options = replace(REALISE_OPTIONS, build=build, substituters=subject.cache)

            preview = await subject.nix.preview([cached], options)

            assert preview.cached.keys() == {cached.path}
            assert not preview.builds | preview.unavailable | preview.local

    async def test_a_preview_of_a_source_that_may_not_build_has_what_is_unavailable(
        self, subject: NixUnderTest
    ) -> None:
        leaf = await found(subject, "leaf")

        preview = await subject.nix.preview([leaf], replace(REALISE_OPTIONS, build=False))

        assert preview.unavailable == {leaf.path}
        assert not preview.builds

    async def test_a_preview_of_a_deleted_derivation_is_refused(
        self, subject: NixUnderTest
    ) -> None:
        leaf = await found(subject, "leaf", way="own process")
        assert await subject.delete(leaf.derivation)

        with pytest.raises(DerivationsMissing):
            await subject.nix.preview([leaf], REALISE_OPTIONS)

    async def test_a_preview_of_a_claimed_path_is_refused(self, subject: NixUnderTest) -> None:
        leaf, tree = await found(subject, "leaf"), await found(subject, "tree")

        with pytest.raises(BuildFailed, match=f"has no output out at {tree.path}"):
            await subject.nix.preview([replace(leaf, path=tree.path)], REALISE_OPTIONS)

    # ---- closures and roots

    async def test_the_closure_of_no_paths_is_empty(self, subject: NixUnderTest) -> None:
        assert len(await subject.store.closure([])) == 0

    async def test_a_path_that_is_not_valid_has_no_closure(self, subject: NixUnderTest) -> None:
        hello = await found(subject, "hello")

        with pytest.raises(StoreUnavailable, match=hello.path.base):
            await subject.store.closure([hello.path])

    async def test_paths_are_kept_until_their_roots_are_released(
        self, subject: NixUnderTest
    ) -> None:
        tree = await found(subject, "tree")
        async with subject.nix.temporary_roots() as roots:
            await subject.nix.realise([tree], REALISE_OPTIONS, roots=roots, on_line=_ignore)

            assert await asyncio.to_thread(roots.paths) == {tree.path}
            assert not await subject.delete(tree.path)

        assert await subject.delete(tree.path)
        with pytest.raises(StoreUnavailable):
            await subject.store.closure([tree.path])


def evaluation_of(subject: NixUnderTest, way: str) -> Evaluation:
    """Return an evaluation in a process that stays, in one of its own, or of an untrusted set.

    A read-only evaluation is in a process that stays unless the set is untrusted.
    """
    return Evaluation(
        source="team",
        package_set=subject.package_set,
        system=subject.system,
        allowed=Allowed(unfree=False, insecure=False, broken=False),
        restricted=way.endswith("untrusted"),
        seconds=100,
        memory=1024 * 1024 * 1024,
        revision=None if way == "own process" else "1",
        read_only=way.startswith("read-only"),
    )


async def found(subject: NixUnderTest, name: str, *, way: str = "kept") -> Found:
    (result,) = await subject.nix.evaluate(evaluation_of(subject, way), [name])
    assert isinstance(result, Found)
    return result


async def realise(
    subject: NixUnderTest, package: Found, options: RealiseOptions = REALISE_OPTIONS
) -> list[str]:
    """Return the lines that the command reports."""
    lines: list[str] = []
    async with subject.nix.temporary_roots() as roots:
        await subject.nix.realise([package], options, roots=roots, on_line=lines.append)
    return lines


def _ignore(_: str) -> None:
    pass
