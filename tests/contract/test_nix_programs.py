"""Nix's own programs, with the Nix of this machine."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.builder.nix.closure import STORE, StorePath
from app.builder.nix.door import PackageSet
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.local_store import LocalStore
from app.builder.nix.programs.programs import Bounds
from app.builder.nix.roots import TemporaryRootsDirectory
from app.errors import BuildFailed
from app.system.environment import child_environment
from app.system.retrying import Retries
from app.system.workers import Workers
from tests.contract.nix_contract import (
    REALISE_OPTIONS,
    MakeNix,
    NixContract,
    NixUnderTest,
    found,
    realise,
)
from tests.fakes.nix_text import nix_text
from tests.fakes.package_set import Attribute, Package

pytestmark = pytest.mark.nix

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = f"{os.uname().machine}-linux"


@dataclass
class _Programs:
    nix: NixCommand
    package_set: PackageSet
    environment: Mapping[str, str]
    cached: tuple[str, ...]
    cache_directory: Path
    system: str = SYSTEM
    store_directory: Path = Path(STORE)

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.store_directory, query=self.nix.closure)

    @property
    def cache(self) -> tuple[str, ...]:
        """Build the packages of the binary cache, and move them there."""
        self._fill_cache(self.cached)
        return (f"file://{self.cache_directory}?trusted=1",)

    async def delete(self, path: StorePath) -> bool:
        """An evaluator that stays keeps the derivations it has written: it is stopped first."""
        await self.nix.close()
        return await asyncio.to_thread(self._delete, path)

    def _delete(self, path: StorePath) -> bool:
        command = ["nix-store", "--delete", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, env=self.environment)
        return done.returncode == 0

    def _fill_cache(self, names: tuple[str, ...]) -> None:
        words = [word for name in names for word in ("-A", name)]
        build = ["nix-build", "--no-out-link", self.package_set.reference, *words]
        built = self._run(*build, "--argstr", "system", self.system).split()
        features = ("--extra-experimental-features", "nix-command")
        self._run("nix", "copy", *features, "--to", f"file://{self.cache_directory}", *built)
        self._run("nix-store", "--delete", *built)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=self.environment
        )
        return done.stdout


@pytest.fixture
async def open_set(tmp_path: Path) -> AsyncIterator[Callable[..., _Programs]]:
    """Open a package set that is given as Nix text."""
    surroundings = {**os.environ, "NIX_CONF_DIR": str(ROOT / "tests" / "nix")}
    environment = child_environment(surroundings, home=tmp_path / "home")
    workers = Workers(2)

    async with AsyncExitStack() as stack:

        def open_set(text: str, cached: tuple[str, ...] = ()) -> _Programs:
            file = tmp_path / "set.nix"
            file.write_text(text)
            nix = NixCommand(
                configuration=NixConfiguration(
                    environment=environment, directory=tmp_path / "conf", workers=workers
                ),
                expressions=ROOT / "nix",
                roots=TemporaryRootsDirectory(directory=tmp_path / "roots", workers=workers),
                workers=workers,
                options={},
                bounds=Bounds(retries=Retries(times=0, seconds=0)),
            )
            stack.push_async_callback(nix.close)
            package_set = PackageSet("path", str(file), is_file=True)
            return _Programs(nix, package_set, environment, cached, tmp_path / "cache")

        yield open_set


class TestNixPrograms(NixContract):
    @pytest.fixture
    def make_nix(self, open_set: Callable[..., _Programs]) -> MakeNix:
        def make(attributes: Mapping[str, Attribute], set_error: str = "") -> NixUnderTest:
            cached = tuple(name for name, one in attributes.items() if _is_cached(one))
            text = nix_text(attributes, salt=uuid.uuid4().hex, set_error=set_error)
            return open_set(text, cached)

        return make


REFUSED = {
    "exported references": 'exportReferencesGraph = [ "graph" unrelated ];',
    "structured": "__structuredAttrs = true; exportReferencesGraph.graph = [ unrelated ];",
    "not in the store": 'exportReferencesGraph = [ "graph" "/etc/passwd" ];',
    "odd": 'exportReferencesGraph = [ "graph" ];',
    "file name": 'exportReferencesGraph = [ "../graph" "${other}" ];',
    "sandbox": "__noChroot = true;",
    "specifier": 'allowedReferences = [ "nonsense" ];',
    "reference": 'allowedReferences = [ ]; args = [ "-c" "echo ${other} > $out" ];',
}
REFUSED_SET = """{ system, ... }:
let
  basis = { inherit system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; salt = "SALT"; };
  other = derivation (basis // { name = "other"; });
  unrelated = builtins.unsafeDiscardStringContext "${other}";
in
{ refused = derivation (basis // { name = "refused"; ATTRIBUTES }); }
"""


@pytest.mark.parametrize("reason", REFUSED)
async def test_a_derivation_that_nix_refuses_is_a_lasting_failure(
    open_set: Callable[..., _Programs], reason: str
) -> None:
    text = REFUSED_SET.replace("SALT", uuid.uuid4().hex).replace("ATTRIBUTES", REFUSED[reason])
    subject = open_set(text)
    refused = await found(subject, "refused")
    options = replace(REALISE_OPTIONS, sandboxed=reason == "sandbox")

    with pytest.raises(BuildFailed):
        await realise(subject, refused, options)


def _is_cached(attribute: Attribute) -> bool:
    return isinstance(attribute, Package) and attribute.is_cached
