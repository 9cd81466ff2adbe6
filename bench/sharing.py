"""Sharing: what clients download and a server handles, relative to each store path once.

usage: bench/sharing.py [--lock LOCK] [--seed SEED] [--images N] [--plan FILE]

Images are drawn from the embedded package set with a fixed seed and pulled twice: by an empty
client, and after 5 % of the packages changed and their dependents were rebuilt.  The first table
has bytes of NAR, the second one seconds: a price for each new layer and for each byte.  The
baselines group the same images in the same run.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.images.layering.cohorts import learn_profile, sampled_images
from app.builder.images.layering.grouping import FEW_LAYERS, plan_layers
from app.builder.images.layering.profile import LayerProfile, from_popularity, parse_profile
from app.builder.nix.closure import Closure, StorePath
from app.settings.expressions import PLANS
from app.settings.sections.layers import LAYERS
from bench import common
from bench.common import Missing
from bench.grouping.baselines import by_dominance, by_popularity, one_layer
from bench.grouping.clients import Client, Layers, Pulled
from bench.grouping.format2 import by_size, similar
from bench.grouping.images import draw_images
from bench.grouping.packageset import PackageSet, built_packages
from bench.grouping.times import Line, Pulls, count

BUDGET = 94  # of the baselines
# A layer costs docker 20.10 some 45 ms and containerd 10; the last one is a slow network.
LINES = {
    "45 ms, 100 MB/s": Line(0.045, 100e6),
    "10 ms, 100 MB/s": Line(0.010, 100e6),
    "45 ms, 10 MB/s": Line(0.045, 10e6),
}
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
    times: Pulls
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
    times = count(
        [(image.closure, cut) for image, cut in zip(images, first, strict=True)],
        [(image.closure, cut) for image, cut in zip(upgraded, second, strict=True)],
    )
    return Measured(
        times,
        one,
        many,
        after,
        many_after,
        sum(map(len, first)) / len(first),
        handled(images, first),
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


def strategies(packages: PackageSet, shipped: LayerProfile) -> dict[str, Cut]:
    everything = packages.closure(packages.objects)
    counts = references(everything)
    learnt = learn_profile(everything, packages.attributes.values())
    users = {name: entry.users for name, entry in learnt.entries.items()}
    cohorts = similar(sampled_images(everything, packages.attributes.values()), everything)
    popularity = from_popularity(counts)

    def ours(plan: LayerProfile | None, budget: int = LAYERS) -> Cut:
        return lambda closure, _: tuple(layer.paths for layer in plan_layers(closure, plan, budget))

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
        "format 2, no plan": lambda closure, _: by_size(closure, {}, {}),
        "format 2, plan": lambda closure, _: by_size(closure, users, cohorts),
        "ours, no plan": ours(None),
        "ours, popularity data": ours(popularity),
        "ours, plan of this set": ours(learnt),
        "ours, shipped plan": ours(shipped),
        "ours, shipped plan, few-layers": ours(shipped, FEW_LAYERS),
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
            plan_layers(each.closure, plan, LAYERS)
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
    parser.add_argument("--plan", type=Path, default=PLANS / "debian.json")
    arguments = parser.parse_args()
    try:
        packages = find_packages(arguments.lock)
    except Missing as reason:
        sys.exit(f"bench/sharing.py: {reason}")
    upgraded = packages.after(CHANGED, arguments.seed)
    tops = draw(packages, arguments.seed, arguments.images)
    images = [image(packages, top) for top in tops]
    later = [image(upgraded, top) for top in tops]
    plan = parse_profile(arguments.plan.read_bytes())
    describe(packages, upgraded, images)
    cuts = strategies(packages, plan)
    measured = {name: measure(cut, images, later) for name, cut in cuts.items()}
    report_bytes(measured)
    report_times(measured)
    print(
        f"cutting an image takes {milliseconds(None, images):.2f} ms without a plan,"
        f" {milliseconds(plan, images):.2f} ms with one"
    )


def describe(packages: PackageSet, upgraded: PackageSet, images: Sequence[Image]) -> None:
    paths = sum(len(each.closure) for each in images) / len(images)
    rebuilt = sum(upgraded.releases.values())
    print(
        f"{len(packages.attributes)} attributes, {len(packages.objects)} store paths;"
        f" {len(images)} images of {paths:.0f} paths on average,"
        f" {sum(len(each.closure) > BUDGET for each in images)} of more than {BUDGET};"
        f" the upgrade rebuilds {rebuilt}"
    )


def report_bytes(measured: Mapping[str, Measured]) -> None:
    print("bytes relative to each store path once; a fleet shares the images out among its clients")
    print(f"{'':36}first pull{'':25}after the upgrade")
    print(f"{'':36}client   fleet    chain  server  client   fleet    chain  layers")
    for name, m in measured.items():
        print(
            f"{name:36}{m.first.digest_ratio:6.3f}  {m.fleet.digest_ratio:6.3f}"
            f"  {m.first.chain_ratio:7.2f}  {m.handled:6.3f}"
            f"  {m.after.digest_ratio:6.3f}  {m.fleet_after.digest_ratio:6.3f}"
            f"  {m.after.chain_ratio:7.2f}  {m.layers:6.1f}"
        )


def report_times(measured: Mapping[str, Measured]) -> None:
    print(
        "seconds a pull, by the price of a layer and the speed of a client (compressed 2.5 times)"
    )
    print(f"{'':36}median{''.join(f'{name:>23}' for name in LINES)}")
    print(f"{'':36}layers{'   cold series update' * len(LINES)}".replace("   cold", "     cold"))
    for name, m in measured.items():
        pulls = (m.times.cold, m.times.series, m.times.update)
        priced = [
            f"  {line.seconds(pull):5.2f}" if pull is pulls[0] else f"{line.seconds(pull):7.3f}"
            for line in LINES.values()
            for pull in pulls
        ]
        print(f"{name:36}{m.times.median_layers:6.0f}{''.join(priced)}")


if __name__ == "__main__":
    main()
