"""Resolve the wanted packages in one archive: index and contents, until nothing changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nix.debian.generator.archive import Archive
from nix.debian.generator.contents import Contents, interpreter_units
from nix.debian.generator.lock import LockedUnit
from nix.debian.generator.progress import report
from nix.debian.generator.relations import upstream_version
from nix.debian.generator.resolver import Resolver, Unresolvable, make_resolver
from nix.debian.generator.storepath import store_name
from nix.debian.generator.wanted import Unit, Wanted

# Packages that the set's own expressions need, whatever the attributes are.
SUPPORT = frozenset(
    (
        "bash",
        "bzip2",
        "coreutils",
        "diffutils",
        "findutils",
        "gawk",
        "grep",
        "gzip",
        "lndir",
        "sed",
        "tar",
        "xz-utils",
    )
)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The units of a set. `graph` may have cycles; `contents` is by package."""

    wanted: Wanted
    archive: Archive
    resolver: Resolver
    graph: Mapping[str, frozenset[str]]
    contents: Mapping[str, Contents]

    def debs(self, unit: str) -> tuple[str, ...]:
        return self.resolver.debs(self.wanted.unit(unit))

    def locked_unit(self, name: str, dependencies: frozenset[str]) -> LockedUnit:
        unit, debs = self.wanted.unit(name), self.debs(name)
        fields = self.archive.index[debs[0]]
        attributes = sorted(a for a, of in self.wanted.attributes.items() if of == name)
        return LockedUnit(
            version="" if unit.bare else store_name(upstream_version(fields["Version"])),
            debs=debs,
            dependencies=tuple(sorted(dependencies)),
            description=fields.get("Description", "").partition("\n")[0],
            recipe=unit.recipe,
            pname=unit.pname,
            outputs=unit.outputs if unit.outputs != ("out",) else None,
            mainProgram=main_program(
                (unit.pname or name, *attributes, *debs),
                unit,
                {program for deb in debs for program in self.contents[deb].programs},
            ),
        )


def resolve(archive: Archive, wanted: Wanted) -> Resolution:
    """Return the closure of the wanted units. Blocking.

    Contents add dependencies, and dependencies add units with contents.
    Raises Unresolvable, AptFailed, ContentDiffers.
    """
    resolver = make_resolver(archive.index, wanted)
    roots = available_roots(resolver, wanted)
    contents: dict[str, Contents] = {}

    def interpreters(unit: Unit) -> frozenset[str]:
        known = (contents[deb] for deb in resolver.debs(unit) if deb in contents)
        return interpreter_units(name for content in known for name in content.interpreters)

    while True:
        graph = resolver.close(roots, interpreters)
        debs = {deb for name in graph for deb in resolver.debs(wanted.unit(name))}
        if debs <= contents.keys():
            return Resolution(wanted, archive, resolver, graph, contents)
        contents |= archive.contents(archive.deb(d) for d in sorted(debs - contents.keys()))


def available_roots(resolver: Resolver, wanted: Wanted) -> frozenset[str]:
    """Return the roots whose packages this release has; report attributes that are left out."""
    found = set(SUPPORT)
    for attribute, unit in wanted.attributes.items():
        try:
            resolver.close(frozenset((unit,)), lambda _: frozenset())
        except Unresolvable as reason:
            report(f"  leaving out {attribute}: {reason}")
        else:
            found.add(unit)
    return frozenset(found)


def main_program(candidates: Iterable[str], unit: Unit, programs: set[str]) -> str | None:
    """Return the program with a name of the package, or its only program."""
    here = set(programs)
    if only := unit.recipe.get("only"):
        here &= {place.removeprefix("bin/") for place in only}
    links: Mapping[str, str] = unit.recipe.get("links", {})
    here |= {place.removeprefix("bin/") for place in links if place.startswith("bin/")}
    named = next((name for name in candidates if name in here), None)
    return named or (min(here) if len(here) == 1 else None)
