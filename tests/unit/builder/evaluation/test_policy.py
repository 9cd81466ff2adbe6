import pytest

from app.builder.evaluation.policy import refusal, remedy
from app.builder.nix.door import Allowed
from app.builder.nix.results import License, Metadata

PLACE = "in /nix/store/x-source/pkgs/tools/foo/package.nix:12"


@pytest.mark.parametrize(
    ("message", "setting"),
    [
        # nixpkgs 17.09, 24.05 and 25.11.
        (f"Package 'foo-1.0' {PLACE} has an unfree license ('unfree'), refusing to evaluate.", "allow_unfree"),
        (f"Refusing to evaluate package 'foo-1.0' {PLACE} because it has an unfree license ('unfree')", "allow_unfree"),
        (f"Package 'foo-1.0' {PLACE} is marked as broken, refusing to evaluate.", "allow_broken"),
        (f"Refusing to evaluate package 'foo-1.0' {PLACE} because it is marked as broken", "allow_broken"),
        (f"Package 'foo-1.0' {PLACE} is marked as insecure, refusing to evaluate.", "allow_insecure"),
        (f"Package 'foo-1.0' {PLACE} is not available on the requested hostPlatform, refusing to evaluate.", ""),
        ("attribute 'unfree' missing", ""),
        ("this package is broken", ""),
    ],
)  # fmt: skip
def test_a_refusal_of_nixpkgs_has_the_setting_that_would_allow_it(
    message: str, setting: str
) -> None:
    assert remedy(message) == setting


@pytest.mark.parametrize("count", [1, 200])
@pytest.mark.parametrize("text", ["CVE-" + "9" * 5000, "own\x1b[31m red\nlicence\u202e" * 500])
def test_a_refusal_is_one_short_line_whatever_the_package_states(text: str, count: int) -> None:
    allowed = Allowed(unfree=False, insecure=False, broken=False)
    unfree = tuple(License(name=text, free=False) for _ in range(count))
    found = (
        refusal(allowed, Metadata(licenses=unfree)),
        refusal(allowed, Metadata(vulnerabilities=(text,) * count)),
    )

    assert all(len(message) <= 300 and message.isprintable() for message in found)
    assert all(text[:3] in message for message in found)
