"""How many mistakes of typing lie between two words."""


def distance(one: str, other: str, most: int) -> int | None:
    """Letters missing, added, replaced, or changed places with their neighbour; each counts one.

    None if there are more than ``most``, which is to be small: each more takes thrice as long.
    (Optimal string alignment.)
    """
    begin = common(one, other)
    one, other = one[begin:], other[begin:]
    if not one or not other:
        rest = len(one) + len(other)
        return rest if rest <= most else None
    if most == 0 or abs(len(one) - len(other)) > most:
        return None
    ways = [(one[1:], other[1:]), (one[1:], other), (one, other[1:])]
    if one[:2] == other[1::-1]:
        ways.append((one[2:], other[2:]))
    found = [distance(*way, most - 1) for way in ways]
    return min((mistakes + 1 for mistakes in found if mistakes is not None), default=None)


def common(one: str, other: str) -> int:
    """The length of what both begin with."""
    length = 0
    for letter, against in zip(one, other, strict=False):
        if letter != against:
            break
        length += 1
    return length
