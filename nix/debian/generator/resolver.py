"""From wanted attributes to units and their dependencies. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nix.debian.generator.relations import clauses
from nix.debian.generator.wanted import Unit, Wanted

Index = Mapping[str, Mapping[str, str]]
# Wrappers of their units are shell scripts.
WRAPPED_LANGUAGES = frozenset({"perl", "python3"})
WRAPPING_RECIPES = frozenset({"env", "path", "redirect"})
WRAPPING_ADJUSTMENTS = frozenset({"gcc", "perl"})


class Unresolvable(Exception):
    """A unit needs a package that the release does not have."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Reads dependencies as apt does, without those of maintainer scripts.

    The dependencies of a unit are the same in every set, so that a set and a part of it give
    the same store paths.
    """

    packages: Index
    wanted: Wanted
    owners: Mapping[str, str]
    providers: Mapping[str, tuple[str, ...]]

    def debs(self, unit: Unit) -> tuple[str, ...]:
        """Return the unit's packages in this release. Raises Unresolvable."""
        present = tuple(
            deb.removesuffix("?")
            for deb in unit.debs
            if not deb.endswith("?") or deb.removesuffix("?") in self.packages
        )
        if missing := [deb for deb in present if deb not in self.packages]:
            raise Unresolvable(f"{unit.name}: the release has no {', '.join(missing)}")
        return present

    def choose(self, alternatives: tuple[str, ...]) -> str | None:
        """Return the package that satisfies a clause, or None if the rules drop the clause."""
        rules = self.wanted.rules
        if rules.drops(alternatives[0]):
            return None
        for alternative in alternatives:
            name = rules.prefer.get(alternative, alternative)
            if not name:
                return None
            if rules.drops(name):
                continue
            if name in self.packages or name in self.owners:
                return name
            for provider in self.providers.get(name, ()):
                if not rules.drops(provider):
                    return provider
        return None

    def dependencies(self, unit: Unit) -> frozenset[str]:
        """Return the units that the unit needs. Raises Unresolvable."""
        if unit.dependencies is not None:
            return frozenset(unit.dependencies)
        found = set(unit.mentioned()) | set(unit.recipe.get("path", ()))
        found |= set(self.wanted.rules.add.get(unit.name, ()))
        for deb in self.debs(unit):
            for field in ("Pre-Depends", "Depends"):
                for clause in clauses(self.packages[deb].get(field, "")):
                    if chosen := self.choose(clause):
                        found.add(self.owners.get(chosen, chosen))
        if (
            unit.recipe.keys() & WRAPPING_RECIPES
            or unit.recipe.get("adjust") in WRAPPING_ADJUSTMENTS
        ):
            found.add("bash")
        return frozenset(found) - set(self.wanted.rules.cut.get(unit.name, ())) - {unit.name}

    def close(
        self, roots: frozenset[str], interpreters: Callable[[Unit], frozenset[str]]
    ) -> dict[str, frozenset[str]]:
        """Return every unit that the roots need, with its dependencies.

        `interpreters` returns the units of interpreters in a unit's packages.
        Raises Unresolvable.
        """
        graph: dict[str, frozenset[str]] = {}
        waiting = sorted(roots)
        while waiting:
            name = waiting.pop()
            if name not in graph:
                unit = self.wanted.unit(name)
                graph[name] = self.dependencies(unit)
                if unit.dependencies is None:
                    graph[name] |= with_shell(interpreters(unit)) - {name}
                waiting.extend(sorted(graph[name] - graph.keys()))
        return graph


def with_shell(interpreters: frozenset[str]) -> frozenset[str]:
    return interpreters | {"bash"} if interpreters & WRAPPED_LANGUAGES else interpreters


def make_resolver(packages: Index, wanted: Wanted) -> Resolver:
    providers: dict[str, tuple[str, ...]] = {}
    for name, fields in sorted(packages.items()):
        for provided, *_ in clauses(fields.get("Provides", "")):
            providers[provided] = (*providers.get(provided, ()), name)
    owners = {
        deb.removesuffix("?"): unit.name
        for unit in wanted.units.values()
        if "only" not in unit.recipe
        for deb in unit.debs
    }
    return Resolver(packages, wanted, owners, providers)
