"""Sharing: what clients download and a server handles, relative to each store path once.

usage: bench/sharing.py [--lock LOCK] [--seed SEED] [--images N]

Images are drawn from the embedded package set with a fixed seed and pulled twice: by an empty
client, and after 5 % of the packages changed and their dependents were rebuilt.  All numbers are
bytes of NAR.  The baselines group the same images in the same run.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.images.layering.cohorts import learn_profile
from app.builder.images.layering.grouping import plan_layers
from app.builder.images.layering.profile import LayerProfile, from_popularity
from app.builder.nix.closure import Closure, StorePath
from bench import common
from bench.common import Missing
from bench.grouping.baselines import by_dominance, by_popularity, one_layer
from bench.grouping.clients import Client, Layers, Pulled
from bench.grouping.images import draw_images
from bench.grouping.packageset import PackageSet, built_packages

BUDGET = 94
CHANGED = 0.05
FLEET = 50  # clients; the images are distributed among them
ALWAYS = ("cacert", "iana-etc")
SHELL = ("bashInteractive", "coreutils", "moreutils", "nano")

Cut = Callable[[Closure, frozenset[StorePath]], Layers]


@dataclass(frozen=True, slots=True)
class Image:
    """An image; ``top`` has the requested packages."""

    closure: Closure
    top: frozenset[StorePath]


@dataclass(frozen=True, slots=True)
class Measured:
    first: Pulled
    fleet: Pulled
    after: Pulled
    fleet_after: Pulled
    layers: float
    handled: float


def measure(cut: Cut, images: Sequence[Image], upgraded: Sequence[Image]) -> Measured:
    first = [cut(image.closure, image.top) for image in images]
    second = [cut(image.closure, image.top) for image in upgraded]
    client = Client()
    fleet = [Client() for _ in range(FLEET)]

    def pull(of: Sequence[Image], layers: Sequence[Layers]) -> tuple[Pulled, Pulled]:
        one = [client.pull(image.closure, cut) for image, cut in zip(of, layers, strict=True)]
        many = [
            fleet[number % FLEET].pull(image.closure, cut)
            for number, (image, cut) in enumerate(zip(of, layers, strict=True))
        ]
        return Pulled.sum(one), Pulled.sum(many)

    one, many = pull(images, first)
    after, many_after = pull(upgraded, second)
    return Measured(
        one, many, after, many_after, sum(map(len, first)) / len(first), handled(images, first)
    )


def handled(images: Sequence[Image], cuts: Sequence[Layers]) -> float:
    """Return the ratio of bytes in distinct layers (stored) to bytes in distinct paths."""
    sizes = {p: o.nar_size for image in images for p, o in image.closure.objects.items()}
    layers = {layer for layers in cuts for layer in layers}
    return sum(sizes[path] for layer in layers for path in layer) / sum(sizes.values())


def references(everything: Closure) -> Counter[str]:
    """Count references as Nixery does, self references included."""
    return Counter(
        path.name for own, item in everything.objects.items() for path in (own, *item.references)
    )


def strategies(packages: PackageSet) -> dict[str, Cut]:
    everything = packages.closure(packages.objects)
    counts = references(everything)
    cohorts = learn_profile(everything, packages.attributes.values())
    popularity = from_popularity(counts)

    def ours(plan: LayerProfile | None) -> Cut:
        return lambda closure, _: tuple(layer.paths for layer in plan_layers(closure, plan, BUDGET))

    def dominance(popular: int) -> Cut:
        return lambda closure, top: by_dominance(closure, top, counts, BUDGET, popular)

    return {
        "one layer": lambda closure, _: one_layer(closure),
        "most popular alone (nix2container)": lambda closure, _: by_popularity(
            closure, counts, BUDGET
        ),
        "dominator tree (Nixery)": dominance(100),
        "dominator tree, threshold 10": dominance(10),
        "dominator tree, threshold 2": dominance(2),
        "ours, no plan": ours(None),
        "ours, popularity data": ours(popularity),
        "ours, plan": ours(cohorts),
    }


def draw(packages: PackageSet, seed: int, count: int) -> list[frozenset[StorePath]]:
    sets = draw_images(
        sorted(packages.attributes), count=count, seed=seed, always=ALWAYS, shell=SHELL
    )
    return [frozenset(packages.attributes[name] for name in names) for names in sets]


def image(packages: PackageSet, top: frozenset[StorePath]) -> Image:
    return Image(packages.closure(top), frozenset(packages.path(path) for path in top))


def milliseconds(plan: LayerProfile | None, images: Sequence[Image]) -> float:
    """Return the mean for an image, of the best of five rounds."""
    rounds = []
    for _ in range(5):
        begun = time.perf_counter()
        for each in images:
            plan_layers(each.closure, plan, BUDGET)
        rounds.append(time.perf_counter() - begun)
    return min(rounds) / len(images) * 1000


def find_packages(chosen: Path | None) -> PackageSet:
    """Return the packages of a lock, by default of the largest set.  Raises Missing."""
    if chosen:
        return built_packages(chosen)
    if full := common.full_set():
        try:
            return built_packages(common.lock(full))
        except Missing as reason:
            print(f"taking the small set: {reason}")
    return built_packages(common.lock(common.small_set()))


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument(
        "--lock", type=Path, help="default: of the full set if it is built, else of the small one"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=300)
    arguments = parser.parse_args()
    try:
        packages = find_packages(arguments.lock)
    except Missing as reason:
        sys.exit(f"bench/sharing.py: {reason}")
    upgraded = packages.after(CHANGED, arguments.seed)
    tops = draw(packages, arguments.seed, arguments.images)
    images = [image(packages, top) for top in tops]
    later = [image(upgraded, top) for top in tops]
    report(packages, upgraded, images, later)


def report(
    packages: PackageSet, upgraded: PackageSet, images: Sequence[Image], later: Sequence[Image]
) -> None:
    paths = sum(len(each.closure) for each in images) / len(images)
    rebuilt = sum(upgraded.releases.values())
    print(
        f"{len(packages.attributes)} attributes, {len(packages.objects)} store paths;"
        f" {len(images)} images of {paths:.0f} paths on average,"
        f" {sum(len(each.closure) > BUDGET for each in images)} of more than {BUDGET};"
        f" the upgrade rebuilds {rebuilt}"
    )
    print("bytes relative to each store path once; a fleet shares the images out among its clients")
    print(f"{'':36}first pull{'':25}after the upgrade")
    print(f"{'':36}client   fleet    chain  server  client   fleet    chain  layers")
    for name, cut in strategies(packages).items():
        m = measure(cut, images, later)
        print(
            f"{name:36}{m.first.digest_ratio:6.3f}  {m.fleet.digest_ratio:6.3f}"
            f"  {m.first.chain_ratio:7.2f}  {m.handled:6.3f}"
            f"  {m.after.digest_ratio:6.3f}  {m.fleet_after.digest_ratio:6.3f}"
            f"  {m.after.chain_ratio:7.2f}  {m.layers:6.1f}"
        )
    plan = learn_profile(packages.closure(packages.objects), packages.attributes.values())
    print(
        f"cutting an image takes {milliseconds(None, images):.2f} ms without a plan,"
        f" {milliseconds(plan, images):.2f} ms with one"
    )


if __name__ == "__main__":
    main()
