"""The references of a closure, followed to their ends; pure."""

from collections.abc import Mapping, Sequence

from app.builder.nix.closure import Closure, StorePath


def referrers_first(closure: Closure) -> list[StorePath]:
    """Return the paths so that each stands after all paths that refer to it.

    Paths that are part of a cycle of references, or below one, are left out.
    """
    waiting = dict.fromkeys(closure.paths, 0)
    for item in closure.objects.values():
        for reference in item.references:
            waiting[reference] += 1
    order = [path for path, count in waiting.items() if count == 0]
    for path in order:
        for reference in closure[path].references:
            waiting[reference] -= 1
            if waiting[reference] == 0:
                order.append(reference)
    return order


def needed_paths(closure: Closure, order: Sequence[StorePath]) -> Mapping[StorePath, int]:
    """Return what each path needs, itself included, as bits: the first path has the lowest.

    A path that ``order``, of `referrers_first`, lacks needs only itself.
    """
    lacking = set(closure.paths).difference(order)
    paths = (*reversed(order), *sorted(lacking))
    needed = {path: 1 << number for number, path in enumerate(paths)}
    for path in reversed(order):
        for reference in closure[path].references:
            needed[path] |= needed[reference]
    return needed
