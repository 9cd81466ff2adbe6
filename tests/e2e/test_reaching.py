"""Untrusted package sets read only themselves and connect to no host, whatever Nix allows."""

import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from app.errors import EvaluationFailed, SourceUnavailable
from tests.e2e.door import Door, MakeDoor, doors
from tests.e2e.process import succeed
from tests.e2e.reaching import (
    ALWAYS_REFUSED,
    CALLING,
    EVER_REFUSED,
    READING,
    SECRET,
    Listener,
    lay_out,
    listener,
    permissive,
    point,
)
from tests.e2e.server import ROOT

pytestmark = pytest.mark.e2e

# The attacks are real: with this Nix they succeed where nothing stands in their way, but for a few.
_READS_WHERE_TRUSTED = READING.keys() - {
    "read-file-type",  # not in Nix 2.8
    "fetchtree-address",  # Nix 2.8 has other addresses
    "loads",  # the library does not exist
    "builds-while-evaluating",  # off for every source
    "find-file-in-search-path",  # this machine's is not used for any source
}
_CALLS_WHERE_TRUSTED = CALLING.keys() - {
    "gets-fetchmercurial",  # needs Mercurial
    "gets-fetchtree-indirect",  # these call hosts of the public network
    "gets-fetchtree-github",
    "gets-channel",
}


@pytest.fixture(scope="module")
def host() -> Iterator[Listener]:
    with listener() as listening:
        yield listening


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, host: Listener) -> Path:
    directory = tmp_path_factory.mktemp("stranger")
    tree = lay_out(directory, host.host)
    outside = directory / "outside"
    stored = succeed("nix-store", "--add", str(outside / "secret")).strip()
    point(tree, outside=outside, host=host.host, stored=stored)
    return tree


@pytest.fixture(params=["NIX_CONFIG", "nix.conf"])
async def make_door(
    request: pytest.FixtureRequest,
    tree: Path,
    host: Listener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[MakeDoor]:
    """Doors to a Nix that is allowed all it can be, by either setting."""
    allowing = permissive(tree.parent / "outside", host.host)
    if request.param == "NIX_CONFIG":
        monkeypatch.setenv("NIX_CONFIG", allowing)
    else:
        own = (ROOT / "tests" / "nix" / "nix.conf").read_text()
        (tmp_path / "nix.conf").write_text(f"{own}\n{allowing}\n")
        monkeypatch.setenv("NIX_CONF_DIR", str(tmp_path))
    async with doors() as make:
        yield partial(make, tmp_path, name="strange")


@pytest.fixture
def strange(make_door: MakeDoor, tree: Path) -> Door:
    return make_door(location=tree, trusted=False)


@pytest.mark.parametrize("attack", READING)
async def test_expressions_that_read_this_machine_are_refused_with_their_own_message(
    strange: Door, tree: Path, attack: str
) -> None:
    with pytest.raises(EvaluationFailed, match=f"^{attack}: .*({READING[attack]})") as failure:
        await strange.package(attack)

    assert SECRET not in failure.value.message
    assert str(tree.parent) not in failure.value.message


@pytest.mark.parametrize("attack", CALLING)
async def test_expressions_that_call_a_host_are_refused_without_a_connection(
    strange: Door, host: Listener, attack: str
) -> None:
    before = host.heard

    with pytest.raises(EvaluationFailed, match=f"^{attack}: .*({CALLING[attack]})"):
        await strange.package(attack)

    assert host.heard == before


async def test_what_keeps_to_itself_evaluates(strange: Door) -> None:
    assert (await strange.package("harmless")).name == "harmless"


async def test_no_builtin_is_refused_by_mistake_and_none_forgotten(strange: Door) -> None:
    with pytest.raises(EvaluationFailed) as failure:
        await strange.package("refusals")

    refused = set(failure.value.message.removeprefix("refusals: ").split())
    assert ALWAYS_REFUSED <= refused <= EVER_REFUSED


@pytest.mark.parametrize("make_door", ["NIX_CONFIG"], indirect=True)
@pytest.mark.parametrize("attack", sorted(_READS_WHERE_TRUSTED))
async def test_each_of_these_reads_the_secret_for_a_source_that_is_trusted(
    make_door: MakeDoor, tree: Path, attack: str
) -> None:
    with pytest.raises(EvaluationFailed, match=f"got .*{SECRET}"):
        await make_door(location=tree).package(attack)


@pytest.mark.parametrize("make_door", ["NIX_CONFIG"], indirect=True)
@pytest.mark.parametrize("attack", sorted(_CALLS_WHERE_TRUSTED))
async def test_each_of_these_calls_the_host_for_a_source_that_is_trusted(
    make_door: MakeDoor, tree: Path, host: Listener, attack: str
) -> None:
    before = host.heard

    with pytest.raises((EvaluationFailed, SourceUnavailable)):
        await make_door(location=tree, evaluation_seconds=20).package(attack)

    assert host.heard > before


_SPELLINGS = (
    "fetchTarball",
    "__fetchTarball",
    "builtins.fetchTarball",
    "builtins.builtins.fetchTarball",
    "__builtins.fetchTarball",
    "(with builtins; fetchTarball)",
    'builtins.${"fetch" + "Tarball"}',
    'builtins.getAttr "fetchTarball" builtins',
    "import ./inner.nix",
    "builtins.import ./inner.nix",
    "__import ./inner.nix",
    "builtins.head (map import [ ./inner.nix ])",
    "import ./outer.nix",
    "scopedImport { } ./inner.nix",
    "scopedImport { fetch = 1; } ./outer.nix",
    "builtins.scopedImport { inherit builtins; } ./inner.nix",
    "scopedImport { import = import; } ./outer.nix",
    'import (./. + builtins.substring 0 10 "/inner.nix-")',
)


@pytest.mark.parametrize("make_door", ["NIX_CONFIG"], indirect=True)
async def test_a_refused_builtin_is_refused_by_every_name_and_in_every_file(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    tree = tmp_path / "spelling"
    tree.mkdir()
    (tree / "inner.nix").write_text("builtins.fetchTarball")
    (tree / "outer.nix").write_text("import ./inner.nix")
    (tree / "default.nix").write_text(
        "{ ... }: {\n"
        + "".join(
            f'  spelled-{n} = ({spelling}) "file:///etc";\n'
            for n, spelling in enumerate(_SPELLINGS)
        )
        + "}\n"
    )
    strange = make_door(location=tree, trusted=False)

    for n, spelling in enumerate(_SPELLINGS):
        with pytest.raises(EvaluationFailed) as failure:
            await strange.package(f"spelled-{n}")
        expected = f"spelled-{n}: fetchTarball is refused to a source that is not trusted"
        assert re.match(expected, failure.value.message), spelling


_IMPORTS = (
    "import ./inner",
    "import ./inner/default.nix",
    "import ./inner.nix",
    "import (toString ./inner)",
    'import "${toString ./.}/inner/../inner.nix"',
    "import ./link.nix",
    "import ./link",
    'import "${./inner}"',
    "import { outPath = toString ./inner.nix; }",
    'scopedImport { value = "shadowed"; } ./scoped.nix',
    "import <nix/fetchurl.nix>",
)


@pytest.mark.parametrize("make_door", ["NIX_CONFIG"], indirect=True)
@pytest.mark.parametrize("expression", _IMPORTS)
async def test_a_set_imports_its_own_files_in_every_way_there_is(
    make_door: MakeDoor, tmp_path: Path, expression: str
) -> None:
    tree = tmp_path / "imports"
    (tree / "inner").mkdir(parents=True)
    package = '{ url, ... }: derivation { name = "p"; system = "s"; builder = "/bin/sh"; }'
    for name in ("inner/default.nix", "inner.nix"):
        (tree / name).write_text(package)
    (tree / "scoped.nix").write_text('assert value == "shadowed"; import ./inner.nix')
    (tree / "link.nix").symlink_to("inner.nix")
    (tree / "link").symlink_to("inner")
    sha256 = "0" * 52
    (tree / "default.nix").write_text(
        f'{{ ... }}: {{ p = ({expression}) {{ url = "http://h/p"; sha256 = "{sha256}"; }}; }}'
    )

    assert (await make_door(location=tree, trusted=False).package("p")).name == "p"


@pytest.mark.parametrize("make_door", ["NIX_CONFIG"], indirect=True)
async def test_a_file_that_is_imported_everywhere_is_read_once(
    make_door: MakeDoor, tmp_path: Path
) -> None:
    tree = tmp_path / "large"
    tree.mkdir()
    functions = "".join(
        f"  f{n} = a: b: if a == {n} then b else [ a b {n} ];\n" for n in range(1000)
    )
    (tree / "lib.nix").write_text(f"{{\n{functions}}}\n")
    (tree / "default.nix").write_text(
        """{ system, ... }:
        let each = map (n: (import ./lib.nix).f1 1 n) (builtins.genList (n: n) 3000); in
        { p = derivation { name = "p"; inherit system each; builder = "/bin/sh"; }; }"""
    )

    # Read each time, it would take three gigabytes.
    strange = make_door(location=tree, trusted=False, evaluation_memory=512)
    assert (await strange.package("p")).name == "p"
