"""Bytes that clients download, in bytes of NAR relative to each path once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.builder.nix.closure import Closure, StorePath

Layers = tuple[tuple[StorePath, ...], ...]


@dataclass(slots=True)
class Client:
    """A client that keeps pulled layers and paths, also over upgrades.

    ``by_digest`` skips layers it has, as containerd and podman do; ``by_chain`` reuses a layer
    only on top of the same layers, as Docker's graph drivers do, and as snapshotters unpack.
    """

    paths: set[StorePath] = field(default_factory=set)
    layers: set[tuple[StorePath, ...]] = field(default_factory=set)
    chains: set[int] = field(default_factory=set)

    def pull(self, closure: Closure, layers: Layers) -> "Pulled":
        size = {path: item.nar_size for path, item in closure.objects.items()}
        ideal = by_digest = by_chain = 0
        for path in closure.paths:
            if path not in self.paths:
                self.paths.add(path)
                ideal += size[path]
        chain = 0
        for layer in layers:
            total = sum(size[path] for path in layer)
            chain = hash((chain, layer))
            if layer not in self.layers:
                self.layers.add(layer)
                by_digest += total
            if chain not in self.chains:
                self.chains.add(chain)
                by_chain += total
        return Pulled(ideal, by_digest, by_chain)


@dataclass(frozen=True, slots=True)
class Pulled:
    ideal: int
    by_digest: int
    by_chain: int

    @classmethod
    def sum(cls, pulls: Sequence["Pulled"]) -> "Pulled":
        return cls(
            sum(pulled.ideal for pulled in pulls),
            sum(pulled.by_digest for pulled in pulls),
            sum(pulled.by_chain for pulled in pulls),
        )

    @property
    def digest_ratio(self) -> float:
        return self.by_digest / self.ideal

    @property
    def chain_ratio(self) -> float:
        return self.by_chain / self.ideal
