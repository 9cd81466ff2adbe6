"""The names of a package set, listed by the Nix of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.builder.evaluation.evaluator import Pinned
from app.builder.names import attribute_names, attributes
from app.builder.names.attributes import AttributeIndex
from app.builder.names.lookups import Lookups
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.roots import TemporaryRootsDirectory
from app.builder.sources.definition import PathDefinition
from app.builder.sources.path import PathUpstream
from app.builder.sources.source import Source
from app.errors import EvaluationFailed, NamesPending, PackagesUnknown
from app.reference import Tag
from app.storage.memory import MemoryStorage
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.e2e.door import Door
from tests.waiting import until

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).resolve().parents[2]
DEBIAN = PROJECT / "nix" / "debian"
HOSTILE = PROJECT / "tests" / "nix" / "packages"
SYSTEM = f"{os.uname().machine}-linux"


class Listing:
    """An index over path sources; ``restart`` keeps the storage alone."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.storage = MemoryStorage()
        self.workers = Workers(2)
        self.restart()

    def restart(self) -> None:
        self.nix = NixCommand(
            configuration=NixConfiguration(
                environment=child_environment(os.environ, home=self._directory / "home"),
                directory=self._directory / "configuration",
                workers=self.workers,
            ),
            expressions=PROJECT / "nix",
            roots=TemporaryRootsDirectory(
                directory=self._directory / "roots", workers=self.workers
            ),
            workers=self.workers,
            options={"build-users-group": ""} if os.geteuid() == 0 else {},
        )
        self.index = AttributeIndex(
            nix=self.nix,
            storage=self.storage,
            workers=self.workers,
            lookups=Lookups(workers=self.workers, share=1),
        )
        self._stack.push_async_callback(self.nix.close)
        self._stack.push_async_callback(self.index.close)

    async def pinned(self, location: Path, **settings: object) -> Pinned:
        definition = PathDefinition.model_validate(
            {"name": "tested", "location": location, **settings}
        )
        source = Source(
            definition=definition,
            upstream=PathUpstream(definition=definition, workers=self.workers),
            storage=self.storage,
        )
        return Pinned(source, await source.resolve(Tag("latest")), SYSTEM)


@pytest.fixture
async def listing(tmp_path: Path) -> AsyncIterator[Listing]:
    async with AsyncExitStack() as stack:
        yield Listing(tmp_path, stack)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A package set of this text."""

    def write(text: str) -> Path:
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / "default.nix").write_text(text)
        return tmp_path / "set"

    return write


async def test_packages_are_listed_and_functions_and_data_are_not(listing: Listing) -> None:
    names = set(await listing.index.names(await listing.pinned(DEBIAN)))

    assert {"git", "htop", "bashinteractive", "2ping", "debianpackages.git"} <= names
    assert not {"lib", "config", "callpackage", "writetext", "system", "debianpackages"} & names


async def test_names_that_raise_abort_or_recurse_remove_no_other_name(
    listing: Listing,
) -> None:
    names = set(await listing.index.names(await listing.pinned(HOSTILE)))

    assert {"git", "nested.inner", "dotted.name", "9lives", "throws-late", "foo"} <= names
    assert not {"throws", "asserts", "recurses", "misses-an-attribute", "plus++"} & names
    assert listing.nix.starts["list"] == 3  # one more for each that cannot be caught


async def test_an_untrusted_source_is_listed_as_restricted_as_it_is_evaluated(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    package_set = written(
        """{ ... }: {
          good = { type = "derivation"; };
          spy = builtins.seq (builtins.readFile /etc/hostname) { type = "derivation"; };
        }"""
    )

    assert await listing.index.names(await listing.pinned(package_set)) == ("good", "spy")
    untrusted = await listing.pinned(package_set, trusted=False)
    assert await listing.index.names(untrusted) == ("good",)


async def test_listing_makes_no_derivation(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    package_set = written(
        """{ system, ... }: {
          one = derivation { name = abort "forced"; inherit system; builder = "/bin/sh"; };
          set = { recurseForDerivations = true; two = abort "forced"; three = throw "forced"; };
          quiet = { four = abort "forced"; };
          liar = { recurseForDerivations = throw "no"; };
          "a\\nb" = 1;
          "quote\\"d" = { type = "derivation"; };
        }"""
    )

    names = await listing.index.names(await listing.pinned(package_set))

    assert names == ("one", "set.three", "set.two")
    assert listing.nix.starts["list"] == 1


def package_set(**attributes: str) -> str:
    lines = "".join(f"{name} = {text};\n" for name, text in attributes.items())
    return f'{{ system, ... }}: let package = {{ type = "derivation"; }}; in {{\n{lines}}}'


UNCATCHABLE = (
    'abort "no"',
    "{ }.lacks",
    "let x = x; in x",
    "({ a }: a) { }",
    "1 2",
    'builtins.fromJSON "{"',
    '{ recurseForDerivations = abort "nested"; }',
    "let inner = inner // { recurseForDerivations = true; }; in inner",
)


@pytest.mark.parametrize("trusted", [True, False])
async def test_forty_attributes_that_end_the_evaluation_cost_no_other_name(
    listing: Listing, written: Callable[[str], Path], *, trusted: bool
) -> None:
    bad = {f"bad{number}": UNCATCHABLE[number % len(UNCATCHABLE)] for number in range(40)}
    good = {f"bad{number}good": "package" for number in range(0, 40, 7)}
    nested = '{ recurseForDerivations = true; one = package; two = abort "not looked at"; }'
    location = written(package_set(**bad, **good, aset=nested, zset=nested))

    names = await listing.index.names(await listing.pinned(location, trusted=trusted))

    assert set(names) == {*good, "aset.one", "aset.two", "zset.one", "zset.two"}
    assert listing.nix.starts["list"] == 41


async def test_names_with_dots_quotes_capitals_and_other_letters_are_resumed_behind(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    odd = ['"a.b"', '"quo\\"d"', '"Capital"', '"é"', '"new\\nline"', '"z z"', '"${"a"}c"']
    bad = dict.fromkeys(odd, 'abort "no"')
    good = {name[:-1] + 'x"': "package" for name in odd if name != '"${"a"}c"'}

    names = await listing.index.names(await listing.pinned(written(package_set(**bad, **good))))

    assert names == ("a.bx", "capitalx")


async def test_functions_and_data_are_not_names_of_sets(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    location = written(
        package_set(
            function="x: x",
            callable="{ __functor = self: x: x; recurseForDerivations = true; inner = package; }",
            text='"text"',
            good="package",
        )
    )

    assert await listing.index.names(await listing.pinned(location)) == ("callable.inner", "good")


async def test_traces_of_the_set_itself_are_not_believed(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    package_set = written(
        """{ system, ... }: {
          good = { type = "derivation"; };
          bad = builtins.trace "\\"good\\"" (builtins.trace "\\"" (abort "no"));
        }"""
    )

    names = await listing.index.names(await listing.pinned(package_set))

    assert names == ("good",)
    assert listing.nix.starts["list"] == 2


async def test_concurrent_callers_share_one_listing_and_later_ones_the_cache(
    listing: Listing,
) -> None:
    pinned = await listing.pinned(DEBIAN)

    await asyncio.gather(*(listing.index.names(pinned) for _ in range(20)))
    await listing.index.search([pinned], "git", 5)

    assert listing.nix.starts["list"] == 1


async def test_a_restarted_server_lists_nothing_again(listing: Listing) -> None:
    pinned = await listing.pinned(DEBIAN)
    names = await listing.index.names(pinned)
    listing.restart()

    assert await listing.index.names(pinned) == names
    assert not listing.nix.starts


async def test_names_that_were_damaged_or_deleted_are_listed_again(listing: Listing) -> None:
    pinned = await listing.pinned(DEBIAN)
    names = await listing.index.names(pinned)
    (key,) = await listing.storage.keys("attribute-names/")
    stored = await listing.storage.read(key)
    for body in (b"", b"{}", b"[1]", b'{"packages": 7}', stored[:-1], stored + b"7", b"\xff"):
        await listing.storage.write(key, body)
        listing.restart()

        assert await listing.index.names(pinned) == names
        assert listing.nix.starts["list"] == 1


async def test_another_revision_has_its_own_names(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    one = await listing.pinned(written('{ ... }: { one = { type = "derivation"; }; }'))
    assert await listing.index.names(one) == ("one",)

    two = await listing.pinned(written('{ ... }: { two = { type = "derivation"; }; }'))
    assert await listing.index.names(two) == ("two",)
    assert await listing.index.names(one) == ("one",)


async def test_the_names_rule_out_nothing_that_can_be_found(listing: Listing, lookup: Door) -> None:
    pinned = await lookup.pinned()
    found = (
        *("hello", "bashinteractive", "2ping", "github", "dotted.name", "many.bin", "many"),
        *("python3packages.numpy", "python3packages.3to2", "python3packages.inner.deep"),
    )
    none = ("helo", "3ping", "lib", "override", "throws", "python3packages.numpi")
    assert listing.index.lacking(pinned, none) == ()  # nothing is listed for this

    await listing.index.names(pinned)

    assert listing.index.lacking(pinned, (*found, *none)) == none
    assert len(await lookup.packages(*found)) == len(found)


async def test_an_unknown_name_brings_those_that_may_have_been_meant(listing: Listing) -> None:
    pinned = await listing.pinned(DEBIAN)

    error = await listing.index.explained([pinned], PackagesUnknown(("gitt", "htpo", "zzzzzz")))

    assert error.packages == ("gitt", "htpo", "zzzzzz")
    assert str(error).startswith("no such package: gitt, htpo, zzzzzz (did you mean git, htop")
    suggestions = error.detail["suggestions"]
    assert isinstance(suggestions, list)
    assert len(suggestions) <= 3


async def test_a_set_that_cannot_be_listed_hides_no_error(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    pinned = await listing.pinned(written('abort "nothing works here"'))
    error = PackagesUnknown(("gitt",))

    assert await listing.index.explained([pinned], error) is error
    with pytest.raises(EvaluationFailed, match="nothing works here"):
        await listing.index.search([pinned], "git", 5)
    assert listing.nix.starts["list"] == 1  # a failure is remembered too


async def test_a_slow_listing_is_not_waited_for_and_continues(
    listing: Listing, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "_SUGGEST_SECONDS", 0.01)
    pinned = await listing.pinned(
        written(
            """{ system, ... }:
            let slow = builtins.foldl' (sum: n: sum + n) 0 (builtins.genList (n: n) 1000000);
            in builtins.seq slow { git = { type = "derivation"; }; }"""
        )
    )
    error = PackagesUnknown(("gitt",))

    pending = await listing.index.explained([pinned], error)
    assert isinstance(pending, NamesPending)
    assert str(pending).startswith("no such package: gitt (the names of its source are still being")
    assert await listing.index.names(pinned) == ("git",)
    monkeypatch.undo()
    again = await listing.index.explained([pinned], error)

    assert again.detail["suggestions"] == ["git"]
    assert listing.nix.starts["list"] == 1


ENDLESS = "builtins.foldl' (sum: n: sum + n) 0 (builtins.genList (n: n) 200000000)"


async def test_a_listing_that_a_limit_ended_continues_and_keeps_what_it_had(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    nested = "{ recurseForDerivations = true; one = package; }"
    huge = "builtins.deepSeq (builtins.genList (n: { x = [ n n n n n n ]; }) 9000000) package"
    location = written(
        package_set(aset=nested, git="package", endless=ENDLESS, huge=huge, zset=nested)
    )
    pinned = await listing.pinned(location, evaluation_seconds=3, evaluation_memory=256)

    names = await listing.index.names(pinned)

    assert {"aset.one", "git", "zset.one", "endless", "huge"} == set(names)


async def test_names_beyond_the_time_limit_are_listed_without_evaluation(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    endless = {f"b{number:02}": ENDLESS for number in range(30)}
    location = written(package_set(a="package", zebra="package", zero="1", **endless))
    pinned = await listing.pinned(location, evaluation_seconds=1)

    names = await listing.index.names(pinned)

    assert {"a", "zebra", *endless} <= set(names)
    assert listing.nix.starts["list"] < 15
    suggested = await suggestions(listing, pinned, "zerbo")
    assert suggested == []


async def suggestions(listing: Listing, pinned: Pinned, *unknown: str) -> object:
    for _ in range(50):
        error = await listing.index.explained([pinned], PackagesUnknown(unknown))
        if not isinstance(error, NamesPending):
            return error.detail["suggestions"]
    raise AssertionError("the names are never listed")


NESTED = """{ system, ... }: let package = { type = "derivation"; }; in {
  python3Packages = {
    requests = package; requestc = x: x; requestz = abort "no"; requestx = throw "no"; Pillow = package;
    _3to2 = package; deep.inner = package; deep.innex = 1;
  };
  perlPackages = { recurseForDerivations = true; override = x: x; Moo = package; };
  zip = package; gzip = package; lzip = package; rzip = package; p7zip = package; _7zz = package;
  broken = abort "no";
  git = package // { doc = package; };
}"""


async def test_sets_that_do_not_exist_are_not_looked_into_once_the_names_are_listed(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    pinned = await listing.pinned(written(NESTED), trusted=False)
    await listing.index.names(pinned)
    before = listing.nix.starts["list"]

    for number in range(20):
        assert await suggestions(listing, pinned, f"zzzzzzzz{number}.thing") == []

    assert listing.nix.starts["list"] == before


async def test_of_more_names_than_memory_is_for_the_first_are_kept_and_nothing_is_ruled_out(
    listing: Listing, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribute_names, "_NAMES", 5)
    inner = "".join(f"n{number} = package; " for number in range(100))
    location = written(
        package_set(a="package", b=f"{{ recurseForDerivations = true; {inner}}}", c="package")
    )
    pinned = await listing.pinned(location)

    assert len(await listing.index.names(pinned)) == 5
    assert listing.index.lacking(pinned, ("c", "nope")) == ()


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("unknown", "best"),
    [
        ("python3packages.reqquests", ["python3packages.requests"]),
        ("python3packages.pilow", ["python3packages.pillow"]),
        ("python3packages.3to3", ["python3packages.3to2"]),
        ("pyhton3packages.requests", ["python3packages.requests"]),
        ("python3packages.deep.iner", ["python3packages.deep.inner"]),
        ("perlpackages.overrida", []),
        ("perlpackages.mooo", ["perlpackages.moo"]),
        ("git.dco", ["git.doc"]),
        ("broken.thing", []),
    ],
)
async def test_a_nested_name_is_looked_for_in_its_set_and_only_packages_are_proposed(
    listing: Listing,
    written: Callable[[str], Path],
    unknown: str,
    best: list[str],
    *,
    trusted: bool,
) -> None:
    pinned = await listing.pinned(written(NESTED), trusted=trusted)

    assert await suggestions(listing, pinned, unknown) == best


async def test_a_name_that_holds_all_that_was_typed_comes_before_shorter_ones(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    pinned = await listing.pinned(written(NESTED))

    for unknown in ("7zip", "7-zip"):
        found = await suggestions(listing, pinned, unknown)
        assert isinstance(found, list)
        assert found[0] == "p7zip"


async def test_closing_ends_a_listing_that_runs(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    pinned = await listing.pinned(
        written(
            """{ ... }: builtins.seq
              (builtins.foldl' (sum: n: sum + n) 0 (builtins.genList (n: n) 100000000)) { }"""
        )
    )
    waiting = asyncio.create_task(listing.index.names(pinned))
    await until(lambda: listing.nix.starts["list"])

    async with asyncio.timeout(10):
        await listing.index.close()

    with pytest.raises(Exception, match="stopped"):
        await waiting
