"""How many of the recent images have each layer."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from app.builder.builds.manifests import Manifests
from app.builder.builds.recent import RecentImages
from app.errors import ManifestUnknown
from app.oci import Digest
from app.system.cache import Cache

_IMAGES = 100
_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """The number of recent images that have each layer.

    ``images`` is the number of all images that were examined; ``by_layer`` has a number for each
    layer digest.
    """

    images: int
    by_layer: Mapping[str, int]


class LayerUse:
    """Counts which layers recent images share."""

    def __init__(self, *, manifests: Manifests, recent: RecentImages) -> None:
        self._manifests = manifests
        self._recent = recent
        self._layers: Cache[Digest, frozenset[str]] = Cache(_KEPT)

    async def counts(self) -> LayerCounts:
        """Count the layers of the recent images.  Raises StorageUnavailable."""
        by_layer: Counter[str] = Counter()
        recent = await self._recent.latest(_IMAGES)
        for image in recent:
            layers: set[str] = set()
            for manifest in image.manifests:
                layers |= await self._layers_of(manifest)
            by_layer.update(layers)
        return LayerCounts(len(recent), by_layer)

    async def _layers_of(self, manifest: Digest) -> frozenset[str]:
        """Return nothing for an image whose manifest was deleted."""
        known = self._layers.get(manifest)
        if known is None:
            try:
                document = json.loads((await self._manifests.read(manifest)).body)
            except ManifestUnknown:
                return frozenset()
            known = frozenset(layer["digest"] for layer in document["layers"])
            self._layers[manifest] = known
        return known
