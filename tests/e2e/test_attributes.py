"""The names of a package set, listed by the Nix of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.builder.evaluation.evaluator import Pinned
from app.builder.holds import Holds
from app.builder.names import attributes
from app.builder.names.attributes import AttributeIndex
from app.builder.nixprograms.command import NixCommand
from app.builder.running.process import child_environment
from app.builder.running.workers import Workers
from app.builder.sources.definition import PathDefinition
from app.builder.sources.path import PathUpstream
from app.builder.sources.source import Source
from app.errors import EvaluationFailed, NamesPending, PackagesUnknown
from app.reference import Tag
from app.storage.memory import MemoryStorage
from tests.e2e.door import Door

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
            environment=child_environment(os.environ, home=self._directory / "home"),
            expressions=PROJECT / "nix",
            holds=Holds(directory=self._directory / "roots", workers=self.workers),
            workers=self.workers,
            options={"build-users-group": ""} if os.geteuid() == 0 else {},
        )
        self.index = AttributeIndex(nix=self.nix, storage=self.storage, workers=self.workers)
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


async def test_names_that_raise_abort_or_recurse_cost_nobody_else_their_place(
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


async def test_a_set_full_of_aborts_gives_the_names_at_its_top(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    aborts = "".join(f'a{number} = abort "no"; ' for number in range(30))
    package_set = written(f"{{ system, ... }}: {{ {aborts} zebra = {{ }}; }}")

    names = await listing.index.names(await listing.pinned(package_set))

    assert "zebra" in names
    assert "a29" in names
    assert listing.nix.starts["list"] < 15


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

    assert set(names) <= {"good", "bad"}
    assert listing.nix.starts["list"] < 15


async def test_all_who_ask_at_once_share_one_listing_and_later_ones_the_memory(
    listing: Listing,
) -> None:
    pinned = await listing.pinned(DEBIAN)

    await asyncio.gather(*(listing.index.names(pinned) for _ in range(20)))
    await listing.index.search(pinned, "git", 5)

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
    (key,) = await listing.storage.keys("packages/")
    for body in (b"", b"{}", b"[1]", b'{"names": 7}', b'{"names": [7]}', b'{"names": [7', b"\xff"):
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

    error = await listing.index.explained(pinned, PackagesUnknown(("gitt", "htpo", "zzzzzz")))

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

    assert await listing.index.explained(pinned, error) is error
    with pytest.raises(EvaluationFailed, match="nothing works here"):
        await listing.index.search(pinned, "git", 5)
    assert listing.nix.starts["list"] == 2  # a failure is remembered too


async def test_a_slow_listing_is_not_waited_for_and_goes_on(
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

    assert isinstance(await listing.index.explained(pinned, error), NamesPending)
    assert await listing.index.names(pinned) == ("git",)
    again = await listing.index.explained(pinned, error)

    assert again.detail["suggestions"] == ["git"]
    assert listing.nix.starts["list"] == 1


async def test_time_that_runs_out_leaves_the_names_at_the_top(
    listing: Listing, written: Callable[[str], Path]
) -> None:
    package_set = written(
        """{ system, ... }: {
          git = { type = "derivation"; };
          endless = builtins.foldl' (sum: n: sum + n) 0 (builtins.genList (n: n) 100000000);
        }"""
    )
    pinned = await listing.pinned(package_set, evaluation_seconds=2)

    assert "git" in await listing.index.names(pinned)


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
    await asyncio.sleep(0.2)
    assert listing.nix.starts["list"] == 1

    async with asyncio.timeout(10):
        await listing.index.close()

    with pytest.raises(Exception, match="stopped"):
        await waiting
