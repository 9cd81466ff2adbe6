"""Packages of a source by part of their name, for people who write an image name."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.builder.evaluation.evaluator import Pinned
from app.builder.names.attributes import AttributeIndex
from app.builder.sources.source import Source
from app.errors import NameUnknown
from app.reference import LATEST_TAG
from app.request import UnfinishedName


@dataclass(frozen=True, slots=True)
class FoundPackages:
    """``names`` as in an image name, best match first."""

    source: str
    names: tuple[str, ...]


class PackageSearch:
    """``sources`` by the path component that chooses them; ``default`` for all other names.

    ``system`` is the Nix system of names without an architecture.
    """

    def __init__(
        self,
        *,
        attributes: AttributeIndex,
        sources: Mapping[str, Source],
        default: Source,
        system: str,
    ) -> None:
        self._attributes = attributes
        self._sources = sources
        self._default = default
        self._system = system

    async def __call__(self, text: str, limit: int, source: str | None) -> FoundPackages:
        """``text`` may be an image name as far as it is written: its last component is searched
        for, in the source that its first one names unless ``source`` does.

        Raises NameUnknown, and what AttributeIndex.search does.
        """
        name = UnfinishedName.parse(text, sources=self._sources.keys(), system=self._system)
        searched = self._source(source or name.source)
        pinned = Pinned(searched, await searched.resolve(LATEST_TAG), name.system)
        found = await self._attributes.search(pinned, name.last, limit)
        return FoundPackages(searched.name, found)

    def _source(self, name: str | None) -> Source:
        if name is None:
            return self._default
        # The default one has a name as well, though image names may omit it.
        named = {self._default.name: self._default, **self._sources}
        if name not in named:
            raise NameUnknown(
                f"no source is called {name}; there is {', '.join(named)}",
                {"sources": list(named)},
            )
        return named[name]
