"""Why a source that may not build cannot serve a package."""

from collections.abc import Collection, Mapping

from app.builder.nix.closure import StorePath
from app.builder.nix.substitution.caches import Trust
from app.builder.nix.substitution.finding import Found
from app.errors import NotCached

_SHOWN = 5
_KEYS_SHOWN = 2


def not_cached(
    source: str, found: Found, lacking: Mapping[StorePath, Collection[StorePath]], trust: Trust
) -> NotCached:
    """Return the error for paths that no cache has: wanted outputs first, then their references."""
    only = f"source {source} only serves what a binary cache has (build = false)"
    missing = frozenset().union(*lacking.values())
    paths = sorted(missing, key=lambda path: (path not in lacking, path))
    detail: dict[str, object] = {"paths": [str(path) for path in paths]}
    if ignored := ignored_signature(found, lacking, trust):
        return NotCached(f"{only}: {ignored}", detail)
    names = ", ".join(path.name for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return NotCached(f"{only}; not there: {names}{more}", detail)


def ignored_signature(
    found: Found, lacking: Mapping[StorePath, Collection[StorePath]], trust: Trust
) -> str:
    """Describe a path that is ignored because of its signature; "" if there is none."""
    missing = frozenset().union(*lacking.values())
    unsigned = [one for one in found.unsigned if one.path in missing]
    if not unsigned:
        return ""
    first = min(unsigned, key=lambda one: (one.path not in lacking, one.path))
    more = f", nor {len(unsigned) - 1} others" if len(unsigned) > 1 else ""
    if not first.keys:
        return f"{first.location}: {first.path} is not signed{more}"
    keys = ", ".join(first.keys[:_KEYS_SHOWN])
    same = trust.names.intersection(first.keys)
    hint = f" has another key {min(same)}" if same else ""
    return (
        f"{first.location}: the signature by {keys} of {first.path} is not trusted{more}"
        f" (trusted-public-keys{hint})"
    )
