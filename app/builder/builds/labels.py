"""The labels of an image: OCI's own names where there is one (image-spec, annotations.md)."""

from collections.abc import Sequence
from datetime import UTC

from app.builder.builds.supply import Ingredients
from app.builder.nix.results import Found
from app.text.sanitize import one_line

# An attribute and a version of 1,000 characters each are the longest that Nix evaluates.
_LIMIT = 4000
_OCI = "org.opencontainers.image"


def image_labels(ingredients: Ingredients) -> dict[str, str]:
    pinned, base = ingredients.pinned, ingredients.base
    named = {_with_version(package) for package in ingredients.packages.values()}
    labels = {
        f"{_OCI}.revision": pinned.revision.label,
        "nixery.source": pinned.source.name,
        "nixery.packages": " ".join(sorted(named)),
        **_described(_requested(ingredients)),
    }
    source = pinned.source.definition.published_at(pinned.revision.label)
    if source is not None:
        labels[f"{_OCI}.source"] = source
    if base is not None and ingredients.borrowed:
        labels["nixery.base"] = f"{base.source.name} {base.revision.label}"
    if pinned.revision.date is not None:
        created = pinned.revision.date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        labels[f"{_OCI}.created"] = created
    return labels


def _requested(ingredients: Ingredients) -> tuple[Found, ...]:
    """Return the packages of the name itself, in the order of the request."""
    named = ingredients.request.named
    return tuple(found for name, found in ingredients.packages.items() if name in named)


def _described(packages: Sequence[Found]) -> dict[str, str]:
    """Describe the packages; what only one of several has does not describe an image."""
    titles = [package.pname or package.attribute for package in packages]
    labels = {f"{_OCI}.title": _line(", ".join(titles))}
    licenses = _licenses(packages)
    if licenses:
        labels[f"{_OCI}.licenses"] = licenses
    if len(packages) == 1:
        [package] = packages
        labels |= {
            f"{_OCI}.version": _line(package.version or ""),
            f"{_OCI}.description": _line(package.description or ""),
            f"{_OCI}.url": package.homepage or "",
            f"{_OCI}.documentation": package.documentation or "",
        }
    return {name: text for name, text in labels.items() if text}


def _licenses(packages: Sequence[Found]) -> str | None:
    """Return an SPDX expression; None unless all licences of all packages have identifiers."""
    found = [item for package in packages for item in package.licenses]
    identifiers = sorted({item.spdx for item in found if item.spdx})
    known = all(package.licenses for package in packages) and all(item.spdx for item in found)
    expression = " AND ".join(identifiers)
    return expression if known and 0 < len(expression) <= _LIMIT else None


def _with_version(package: Found) -> str:
    return _line(f"{package.attribute}-{package.version or ''}".rstrip("-"))


def _line(text: str) -> str:
    return one_line(text, _LIMIT)
