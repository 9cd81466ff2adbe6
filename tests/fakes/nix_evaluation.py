"""One evaluation of a package set that is a value."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from app.builder.nix import door
from app.builder.nix.results import (
    Ambiguous,
    EvaluationResult,
    Failed,
    Found,
    NotAPackage,
    NotFound,
)
from app.errors import EvaluationFailed
from tests.fakes.attribute_lookup import Output, Place, find, inside
from tests.fakes.nix_store import FakeStore
from tests.fakes.package_set import (
    Aborts,
    Attribute,
    Endless,
    Package,
    Packages,
    Throws,
    Unreachable,
    Value,
)


class CaughtError(Exception):
    """An error that ``builtins.tryEval`` catches."""


@dataclass(frozen=True, slots=True)
class SetEvaluation:
    """Evaluates ``attributes`` as ``limits`` allow, with derivations in ``store``."""

    attributes: Mapping[str, Attribute]
    limits: door.Evaluation
    store: FakeStore

    async def result(self, name: str, *, explain: bool) -> EvaluationResult:
        """Return what nix/answers.nix prints for a name.

        Raises EvaluationFailed, EvaluationStopped, InputUnreachable.
        """
        found = find(self.attributes, name)
        if not isinstance(found, Place):
            return found
        try:
            await self._force(found.value)
            return self._described(".".join(found.path), found.value, explain=explain)
        except CaughtError as error:
            if explain:
                raise EvaluationFailed(str(error)) from None
            return Failed()

    async def kind(self, name: str) -> door.Kind:
        """Return what nix/names.nix calls a value.  Raises what ``result`` does."""
        found = find(self.attributes, name)
        if isinstance(found, Ambiguous | NotFound):
            return "other"
        try:
            await self._force(found.value)
        except CaughtError:
            return "other"
        match found.value:
            case Package() | Output():
                return "package"
            case Packages():
                return "packages"
            case Mapping():
                return "set"
            case _:
                return "other"

    def inner(self, name: str) -> tuple[str, ...]:
        """Return the names in a set; of a package those that a derivation has always."""
        found = find(self.attributes, name)
        if not isinstance(found, Place):
            return ()
        names = set(inside(found.value) or ())
        if isinstance(found.value, Package):
            names |= {"all", "drvPath", "meta", "name", "outPath", "outputName", "type"}
        return tuple(sorted(name for name in names if "." not in name))

    async def _force(self, value: Attribute | Output) -> None:
        match value:
            case Throws(message):
                raise CaughtError(message)
            case Aborts(message):
                raise EvaluationFailed(
                    f"evaluation aborted with the following error message: '{message}'"
                )
            case Endless():
                await asyncio.sleep(self.limits.seconds)
                raise door.EvaluationStopped(
                    f"evaluation stopped after {self.limits.seconds:g} s (evaluation_seconds of"
                    f" source {self.limits.source})"
                )
            case Unreachable(url) if self.limits.restricted:
                raise CaughtError(f"fetchurl is not there for untrusted sources: {url}")
            case Unreachable(url):
                raise door.InputUnreachable(
                    f"source {self.limits.source} needs {url}, which cannot be reached:"
                    f" unable to download '{url}': Couldn't connect to server"
                )
            case _:
                pass

    def _described(
        self, attribute: str, value: Attribute | Output, *, explain: bool
    ) -> EvaluationResult:
        match value:
            case Package():
                return self._package(attribute, value, next(iter(value.outputs)), explain=explain)
            case Output(package, output):
                return self._package(attribute, package, output, explain=explain)
            case Value(kind):
                return NotAPackage(attribute=attribute, kind=kind)
            case Packages():
                return NotAPackage(attribute=attribute, kind="a set of packages")
            case _:
                return NotAPackage(attribute=attribute, kind="a set")

    def _package(
        self, attribute: str, package: Package, output: str, *, explain: bool
    ) -> Found | Failed:
        if package.refusal and explain:
            raise CaughtError(package.refusal)
        metadata = {
            "attribute": attribute,
            "name": package.name,
            "pname": package.pname,
            "version": package.version,
            "licenses": package.licenses,
            "vulnerabilities": package.vulnerabilities,
            "insecure": package.insecure,
            "broken": package.broken,
            "priority": package.priority,
            "main_program": package.main_program,
            "description": package.description,
            "homepage": package.homepage,
            "documentation": package.documentation,
            "position": package.position,
            "cpe": package.cpe,
            "purl": package.purl,
        }
        if package.refusal:
            return Failed(**metadata)  # type: ignore[arg-type]
        derivation = self.store.instantiate(
            package, self.attributes, self.limits.system, write=not self.limits.read_only
        )
        made = {"derivation": derivation.path, "output": output, "path": derivation.outputs[output]}
        return Found(**metadata, **made)  # type: ignore[arg-type]
