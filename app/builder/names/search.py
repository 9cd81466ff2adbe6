"""Search the packages of a source by part of their name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.builder.evaluation.evaluator import Pinned
from app.builder.names.attributes import AttributeIndex
from app.builder.sources.source import Source
from app.errors import NameUnknown
from app.reference import LATEST_TAG
from app.request import UnfinishedName


@dataclass(frozen=True, slots=True)
class FoundPackages:
    """The result of a search.

    ``names`` have the form of image names, the best match first.
    """

    source: str
    names: tuple[str, ...]


class PackageSearch:
    """Search the names of each served source.

    ``sources`` are by the path component that selects them; ``default`` serves all other names.
    ``systems`` are those of names without an architecture, the server's own first.
    """

    def __init__(
        self,
        *,
        attributes: AttributeIndex,
        sources: Mapping[str, Source],
        default: Source,
        systems: Sequence[str],
    ) -> None:
        self._attributes = attributes
        self._sources = sources
        self._default = default
        self._systems = tuple(systems)

    async def __call__(
        self, text: str, limit: int, source: str | None, client: str = ""
    ) -> FoundPackages:
        """Search for the last component of ``text``, the start of an image name.

        A name without an architecture finds packages of all systems that are served.
        ``client`` is the address whose share of the queue of searches is used.
        ``source`` is the name of a source; without it the first component of ``text`` selects one.
        Raises NameUnknown, and the errors of AttributeIndex.search.
        """
        name = UnfinishedName.parse(text, sources=self._sources.keys())
        searched = self._source(source or name.source)
        revision = await searched.resolve(LATEST_TAG)
        systems = (name.system,) if name.system else self._systems
        places = [Pinned(searched, revision, system) for system in systems]
        found = await self._attributes.search(places, name.last, limit, (client,))
        return FoundPackages(searched.name, found)

    def _source(self, name: str | None) -> Source:
        if name is None:
            return self._default
        # The default source has a name too, which image names may omit.
        named = {self._default.name: self._default, **self._sources}
        if name not in named:
            raise NameUnknown(
                f"no source is called {name}; there is {', '.join(named)}",
                {"sources": list(named)},
            )
        return named[name]
