import pytest
from pydantic import TypeAdapter, ValidationError

from app.builder.sources.definition import (
    ChannelDefinition,
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
    SourceDefinition,
)

ADAPTER: TypeAdapter[SourceDefinition] = TypeAdapter(SourceDefinition)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ({"kind": "path", "location": "/srv/packages"}, PathDefinition),
        ({"kind": "git", "location": "git@example.org:packages.git"}, GitDefinition),
        ({"kind": "flake", "location": "https://example.org/flake.git"}, FlakeDefinition),
        ({"kind": "channel"}, ChannelDefinition),
    ],
)
def test_each_kind_reads_its_own_settings(written: dict[str, object], kind: type) -> None:
    definition = ADAPTER.validate_python({"name": "mine", **written})

    assert type(definition) is kind
    assert definition.trusted
    assert definition.build


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"name": "shell"}, "shell is a meta package"),
        ({"name": "arm64"}, "arm64 is a meta package"),
        ({"name": "With/Slash"}, "match pattern"),
        ({"name": "mine", "evaluation_seconds": 0}, "greater than 0"),
        ({"name": "mine", "reffs": ["main"]}, "Extra inputs are not permitted"),
        ({"name": "mine", "policy": {"allow_unfre": True}}, "Extra inputs are not permitted"),
    ],
)
def test_mistake_is_rejected_with_its_reason(written: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python({"kind": "git", "location": "https://example.org/r", **written})


def test_untrusted_flake_is_rejected_with_an_alternative() -> None:
    flake = {"kind": "flake", "name": "mine", "location": "https://example.org/flake.git"}

    with pytest.raises(ValidationError, match=r"trust it .* or serve its repository as kind"):
        ADAPTER.validate_python({**flake, "trusted": False})


def test_policy_allows_all_packages_none_or_names() -> None:
    definition = ADAPTER.validate_python(
        {
            "name": "mine",
            "kind": "channel",
            "policy": {"allow_unfree": ["terraform"], "allow_broken": True},
        }
    )

    policy = definition.policy
    assert (policy.allow_unfree, policy.allow_broken, policy.allow_insecure) == (
        ("terraform",),
        True,
        False,
    )
