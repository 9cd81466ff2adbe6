"""Random images like those of users: few packages each, some packages much more often."""

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate

_SIZES = (0.32, 0.26, 0.18, 0.12, 0.07, 0.05)  # images of one package, of two, ...
_ZIPF = 0.8


def draw_images(
    attributes: Sequence[str],
    *,
    count: int,
    seed: int,
    always: Sequence[str],
    shell: Sequence[str],
) -> Iterator[frozenset[str]]:
    """Yield distinct sets of packages; half of them with ``shell``, all of them with ``always``."""
    generator = random.Random(seed)
    ranked = sorted(attributes)
    generator.shuffle(ranked)
    weights = list(accumulate(1 / (rank + 1) ** _ZIPF for rank in range(len(ranked))))
    seen: set[frozenset[str]] = set()
    while len(seen) < count:
        wanted = generator.choices(range(1, len(_SIZES) + 1), _SIZES)[0]
        image = set(generator.choices(ranked, cum_weights=weights, k=wanted)) | set(always)
        if generator.random() < 0.5:
            image |= set(shell)
        if frozenset(image) not in seen:
            seen.add(frozenset(image))
            yield frozenset(image)
