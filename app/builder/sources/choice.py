"""The source that an image name selects."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.builder.sources.source import Source


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """Sources by the path component that selects them; ``default`` for all other names."""

    by_component: Mapping[str, Source]
    default: Source

    def choose(self, component: str | None) -> Source:
        return self.default if component is None else self.by_component[component]
