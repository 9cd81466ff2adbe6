"""The packages that a source's policy refuses, and the reasons."""

import re
from collections.abc import Iterable

from app.builder.nix.door import Allowed
from app.builder.nix.results import Metadata
from app.text.sanitize import one_line

# nixpkgs' words since 2016: the package, the reason, and "refusing to evaluate".
_REFUSES = re.compile(r"refus(?:ing|es) to evaluate", re.IGNORECASE)
_REASONS = {
    "allow_unfree": re.compile(r"\bunfree licen[cs]e\b|\bunfree\b", re.IGNORECASE),
    "allow_insecure": re.compile(r"\binsecure\b|known vulnerab|end[- ]of[- ]life", re.IGNORECASE),
    "allow_broken": re.compile(r"\b(?:marked as|is) broken\b", re.IGNORECASE),
}

_SHOWN = 3
_SHOWN_LENGTH = 220


def remedy(message: str) -> str:
    """Return the setting that allows what nixpkgs refuses by this message; "" for others."""
    if not _REFUSES.search(message):
        return ""
    return next((setting for setting, why in _REASONS.items() if why.search(message)), "")


def refusal(allowed: Allowed, package: Metadata) -> str:
    """Return why the package is refused, and the setting that allows it; "" if it is allowed."""
    unfree = [lic.name or "unnamed" for lic in package.licenses if not lic.free]
    if unfree and not _passes(allowed.unfree, package):
        return f"has the unfree licence {_first(unfree)}; allow_unfree may allow it"
    if (package.vulnerabilities or package.insecure) and not _passes(allowed.insecure, package):
        known = _first(package.vulnerabilities)
        reason = f"is insecure ({known})" if known else "is insecure"
        return f"{reason}; allow_insecure may allow it"
    if package.broken and not _passes(allowed.broken, package):
        return "is marked as broken; allow_broken may allow it"
    return ""


def _first(texts: Iterable[str | None]) -> str:
    """Return some texts of the package set, in one line of bounded length."""
    known = [text for text in texts if text]
    return one_line(", ".join(known[:_SHOWN]), _SHOWN_LENGTH)


def _passes(rule: bool | tuple[str, ...], package: Metadata) -> bool:  # noqa: FBT001 - a setting
    return rule if isinstance(rule, bool) else package.pname in rule
