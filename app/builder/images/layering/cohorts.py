"""Learn a layer profile from a package set: how often each package is used, and with which others.

The packages that occur in the same images are found by sampling images, however they refer to
each other.  One seed draws all samples, so that a package set has the same profile everywhere.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from app.builder.images.layering.client_time import Usage
from app.builder.images.layering.clustering import cohorts_of
from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.images.layering.references import referrers_first
from app.builder.nix.closure import Closure, StorePath

SEED = 1
SAMPLES = 2000

# How many images have one package in their name, for two, and so on.
_REQUESTS = tuple(accumulate((0.32, 0.26, 0.18, 0.12, 0.07, 0.05)))
# Packages of every image, and of the half of the images that has a shell.
_ALWAYS = frozenset({"nss-cacert", "ca-certificates", "iana-etc", "netbase"})
_SHELL = frozenset({"bash", "bash-interactive", "coreutils", "moreutils", "nano"})
# Packages whose users are counted at a time; it bounds the memory.
_BLOCK = 8192
# From this NAR size in bytes a name has no cohort if updates rebuild it: a layer with others would
# be downloaded again for them.
FLOOR = 16_000_000


class ClosureCyclic(ValueError):
    """A store path refers to itself through others, which no valid store has."""


def learn_profile(closure: Closure, *requested: Iterable[StorePath]) -> LayerProfile:
    """Learn from images made of the ``requested`` paths, each equally likely.

    Paths of several architectures are separate arguments, because no image has paths of two; the
    profile holds for all of them, as it has names without hashes.

    Raises ClosureCyclic; ValueError if one of ``requested`` is empty.
    """
    graph = _graph(closure)
    users = _users(graph)
    usage = _usage(graph, _images(graph, requested), users)
    cohorts = cohorts_of(usage, SAMPLES * len(requested))
    return LayerProfile(
        len(closure),
        {name: ProfileEntry(cohorts.get(name), count) for name, count in users.items()},
    )


def sampled_images(closure: Closure, requested: Iterable[StorePath]) -> Mapping[str, int]:
    """Return for every name a bit for each sampled image that contains it."""
    return _images(_graph(closure), (requested,))


def unreferenced(closure: Closure) -> tuple[StorePath, ...]:
    """Return the paths without referrers: a guess at what images are made of."""
    referenced = {other for item in closure.objects.values() for other in item.references}
    return tuple(path for path in closure.paths if path not in referenced)


@dataclass(frozen=True, slots=True)
class _Graph:
    """A closure in topological order: referrers stand before their references."""

    places: Mapping[StorePath, int]
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    references: tuple[tuple[int, ...], ...]

    def flow(self, bits: list[int], start: int = 0) -> Mapping[str, int]:
        """Pass each path's bits on to its references; return the union for each name."""
        named: defaultdict[str, int] = defaultdict(int)
        for place in range(start, len(bits)):
            if own := bits[place]:
                named[self.names[place]] |= own
                for below in self.references[place]:
                    bits[below] |= own
        return named


def _graph(closure: Closure) -> _Graph:
    order = referrers_first(closure)
    if len(order) < len(closure):
        raise ClosureCyclic(
            f"{min(set(closure.paths) - set(order))} is part of a cycle of references"
        )
    places = {path: place for place, path in enumerate(order)}
    return _Graph(
        places,
        tuple(unversioned(path.name) for path in order),
        tuple(closure[path].nar_size for path in order),
        tuple(tuple(places[r] for r in closure[path].references) for path in order),
    )


def _users(graph: _Graph) -> Mapping[str, int]:
    users: defaultdict[str, int] = defaultdict(int)
    count = len(graph.names)
    for start in range(0, count, _BLOCK):
        bits = [0] * count
        for place in range(start, min(start + _BLOCK, count)):
            bits[place] = 1 << (place - start)
        for name, holders in graph.flow(bits, start).items():
            users[name] += holders.bit_count()
    return users


def _images(graph: _Graph, requested: Iterable[Iterable[StorePath]]) -> Mapping[str, int]:
    """Return for every name a bit for each sampled image that contains it."""
    bits = [0] * len(graph.names)
    for number, paths in enumerate(requested):
        _draw_images(graph, sorted(set(paths)), bits, first=number * SAMPLES)
    return graph.flow(bits)


def _draw_images(graph: _Graph, requested: list[StorePath], bits: list[int], *, first: int) -> None:
    """Set, in each path that a sampled image requests, the bit of that image, from ``first`` on."""
    if not requested:
        raise ValueError("no package is requested, so there is nothing to sample images from")
    # Of the random module, only random() has the same sequence in every version of Python.
    draw = random.Random(SEED).random  # noqa: S311  sampled, not secret
    always = [graph.places[path] for path in requested if unversioned(path.name) in _ALWAYS]
    shell = [graph.places[path] for path in requested if unversioned(path.name) in _SHELL]
    for sample in range(first, first + SAMPLES):
        chance = draw()
        wanted = 1 + sum(chance >= bound for bound in _REQUESTS[:-1])
        chosen = [graph.places[requested[int(draw() * len(requested))]] for _ in range(wanted)]
        for place in (*chosen, *always, *(shell if draw() < 0.5 else ())):
            bits[place] |= 1 << sample


def _usage(
    graph: _Graph, images: Mapping[str, int], users: Mapping[str, int]
) -> Mapping[str, Usage]:
    """Describe the sampled names, without large ones that updates rebuild: these stay alone."""
    sizes: defaultdict[str, int] = defaultdict(int)
    for name, size in zip(graph.names, graph.sizes, strict=True):
        sizes[name] = max(sizes[name], size)
    causes = _causes(graph, images, users)
    return {
        name: Usage(held, sizes[name], causes[name])
        for name, held in images.items()
        if sizes[name] < FLOOR or not causes[name]
    }


def _causes(
    graph: _Graph, images: Mapping[str, int], users: Mapping[str, int]
) -> Mapping[str, int]:
    """Return for each sampled name the names, as bits, whose change rebuilds it.

    A change of what a tenth of all packages use is left out: it rebuilds nearly everything.
    """
    bits = {
        name: 1 << number
        for number, name in enumerate(sorted(images))
        if users[name] * 10 <= len(graph.names)
    }
    below = [0] * len(graph.names)
    named: defaultdict[str, int] = defaultdict(int)
    for place in reversed(range(len(graph.names))):
        name = graph.names[place]
        if name in images:
            below[place] = bits.get(name, 0)
            for reference in graph.references[place]:
                below[place] |= below[reference]
            named[name] |= below[place]
    return named
