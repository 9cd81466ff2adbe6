"""How many mistakes of typing lie between two words."""


def distance(one: str, other: str, most: int) -> int | None:
    """Letters missing, added, replaced, or changed places with their neighbour; each counts one.

    None if there are more than ``most``.  (Optimal string alignment.)
    """
    begin = common(one, other)
    one, other = one[begin:], other[begin:]
    end = common(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    if abs(len(one) - len(other)) > most:
        return None
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        earlier, before = before, row
        row = [i + 1]
        for j, against in enumerate(other):
            cost = min(before[j] + (letter != against), before[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == against:
                cost = min(cost, earlier[j - 1] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            return None
    return row[-1] if row[-1] <= most else None


def common(one: str, other: str) -> int:
    """The length of what both begin with."""
    length = 0
    for letter, against in zip(one, other, strict=False):
        if letter != against:
            break
        length += 1
    return length
