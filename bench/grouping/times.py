"""The time that pulls cost a client: each new layer has a price, and so has each byte."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from app.builder.nix.closure import Closure, StorePath
from bench.grouping.clients import Layers

# NAR bytes for one compressed byte.
_COMPRESSION = 2.5


@dataclass(frozen=True, slots=True)
class Line:
    """A client's costs: seconds for each layer, and compressed bytes a second."""

    layer_seconds: float
    bytes_per_second: float

    def seconds(self, pull: "Pull") -> float:
        transfer = pull.size / _COMPRESSION / self.bytes_per_second
        return pull.layers * self.layer_seconds + transfer


@dataclass(frozen=True, slots=True)
class Pull:
    """New layers, and their NAR bytes; means over several pulls may be fractions."""

    layers: float
    size: float


@dataclass(frozen=True, slots=True)
class Pulls:
    """What a set of images costs.

    ``cold`` is the mean of the images, each pulled by an empty client; ``series`` the mean of one
    client that pulls them all; ``update`` the mean of the same client that pulls them again in
    another release.  ``median_layers`` counts the layers of an image.
    """

    median_layers: float
    cold: Pull
    series: Pull
    update: Pull


@dataclass(slots=True)
class _Client:
    layers: set[tuple[StorePath, ...]] = field(default_factory=set)

    def pull(self, closure: Closure, layers: Layers) -> Pull:
        new = [layer for layer in layers if layer not in self.layers]
        self.layers.update(new)
        return Pull(len(new), sum(closure[path].nar_size for layer in new for path in layer))


def count(
    first: Sequence[tuple[Closure, Layers]], second: Sequence[tuple[Closure, Layers]]
) -> Pulls:
    """Count the pulls of images, and of the same images in the next release."""
    one = _Client()
    return Pulls(
        median(len(layers) for _, layers in first),
        _mean([_Client().pull(*image) for image in first]),
        _mean([one.pull(*image) for image in first]),
        _mean([one.pull(*image) for image in second]),
    )


def _mean(pulls: Sequence[Pull]) -> Pull:
    return Pull(
        sum(pull.layers for pull in pulls) / len(pulls),
        sum(pull.size for pull in pulls) / len(pulls),
    )
