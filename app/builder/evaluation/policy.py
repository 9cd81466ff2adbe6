"""Whether a source's policy lets a package pass, and what to say if not."""

from app.builder.answers import Metadata
from app.builder.nix import Allowed


def refusal(allowed: Allowed, package: Metadata) -> str:
    """Why the package is refused, with the setting that would allow it; "" if it is not."""
    unfree = [lic.name or "unnamed" for lic in package.licenses if not lic.free]
    if unfree and not _passes(allowed.unfree, package):
        return f"has the unfree licence {', '.join(unfree)}; allow_unfree may allow it"
    if (package.vulnerabilities or package.insecure) and not _passes(allowed.insecure, package):
        known = ", ".join(text for text in package.vulnerabilities[:3] if text)
        reason = f"is insecure ({known})" if known else "is insecure"
        return f"{reason}; allow_insecure may allow it"
    if package.broken and not _passes(allowed.broken, package):
        return "is marked as broken; allow_broken may allow it"
    return ""


def _passes(rule: bool | tuple[str, ...], package: Metadata) -> bool:  # noqa: FBT001 - a setting
    return rule if isinstance(rule, bool) else package.pname in rule
