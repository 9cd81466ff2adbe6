"""Divide an image into parts that other images have too; pure."""

from collections.abc import Mapping

from app.builder.nix.closure import StorePath

# A part has at least so many paths, and there are at most so many parts, the rest aside.
_LEAST = 4
_PARTS = 8


def divide(needed: Mapping[StorePath, int]) -> Mapping[StorePath, int]:
    """Return the number of the part that each path belongs to.

    ``needed`` has what each path needs, as bits (`needed_paths`).  A part is what one path needs
    of the paths that are left.  It is the one that needs most, or one that needs nine tenths as
    much: so images of two packages that need a large third one have a part in common.
    """
    left = (1 << len(needed)) - 1
    parts = dict.fromkeys(needed, _PARTS)
    for part in range(_PARTS):
        counts = {path: (paths & left).bit_count() for path, paths in needed.items()}
        most = max(counts.values(), default=0)
        if most < _LEAST:
            break
        _, _, top = min(
            (count, path.name, path) for path, count in counts.items() if 10 * count >= 9 * most
        )
        taken = needed[top] & left
        left &= ~taken
        for number, path in enumerate(needed):
            if taken >> number & 1:
                parts[path] = part
    return parts
