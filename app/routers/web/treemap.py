"""Layers as a picture: an area for each, by its size, in a box of fixed width and height."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 320.0
# Thinner areas cannot be seen.
_LEAST = 0.002


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the picture.

    ``index`` is that of the size; the others are in units of the picture.
    """

    index: int
    x: float
    y: float
    width: float
    height: float


def treemap(sizes: Sequence[int]) -> list[Area]:
    """Return an area for each size, in proportion, nearly square, the largest first.

    Every size has at least a two-thousandth of the whole.
    """
    least = max(max(sizes, default=0) * _LEAST, 1)
    order = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
    weights = [max(sizes[index], least) for index in order]
    scale = WIDTH * HEIGHT / (sum(weights) or 1)
    areas: list[Area] = []
    box = (0.0, 0.0, WIDTH, HEIGHT)
    start = 0
    while start < len(order):
        end, side = start + 1, min(box[2], box[3])
        row = [weights[start] * scale]
        while end < len(order) and _worst([*row, weights[end] * scale], side) <= _worst(row, side):
            row.append(weights[end] * scale)
            end += 1
        box = _place(row, order[start:end], box, areas)
        start = end
    return areas


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of the sides of a row's areas."""
    thickness = sum(row) / side
    return max(max(thickness**2 / area, area / thickness**2) for area in row)


def _place(
    row: Sequence[float],
    indexes: Sequence[int],
    box: tuple[float, float, float, float],
    areas: list[Area],
) -> tuple[float, float, float, float]:
    """Place a row at the shorter side; return the rest of the box."""
    x, y, width, height = box
    thickness = sum(row) / min(width, height)
    for area, index in zip(row, indexes, strict=True):
        length = area / thickness
        if width >= height:
            areas.append(_area(index, x, y, thickness, length))
            y += length
        else:
            areas.append(_area(index, x, y, length, thickness))
            x += length
    if width >= height:
        return x + thickness, box[1], max(width - thickness, 1e-6), height
    return box[0], y + thickness, width, max(height - thickness, 1e-6)


def _area(index: int, x: float, y: float, width: float, height: float) -> Area:
    return Area(index, round(x, 1), round(y, 1), round(width, 1), round(height, 1))
