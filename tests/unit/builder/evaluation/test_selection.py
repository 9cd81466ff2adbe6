"""From results to packages, or to the error that a client reads."""

from dataclasses import replace
from typing import Any

import pytest

from app.builder.evaluation.selection import (
    found_packages,
    needed_by,
    present_packages,
    service_of,
)
from app.builder.nix.closure import StorePath
from app.builder.nix.door import EvaluationStopped
from app.builder.nix.results import (
    Ambiguous,
    EvaluationResult,
    Failed,
    Found,
    License,
    MetaPackage,
    NotAPackage,
    NotFound,
    Validity,
)
from app.builder.sources.definition import GitDefinition
from app.builder.sources.source import Source
from app.errors import (
    EvaluationFailed,
    ImageUnknown,
    NotADerivation,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
)
from app.storage.memory import MemoryStorage
from tests.unit.builder.assembled import Tags

PACKAGE = Found(
    attribute="tool",
    derivation=StorePath.parse("/nix/store/" + "a" * 32 + "-tool-1.drv"),
    output="out",
    path=StorePath.parse("/nix/store/" + "b" * 32 + "-tool-1"),
)
UNFREE = (License("own", free=False),)


@pytest.fixture
def source() -> Source:
    fields: dict[str, Any] = {"name": "set", "location": "https://example.org/set"}
    return Source(definition=GitDefinition(**fields), upstream=Tags("set"), storage=MemoryStorage())


def test_packages_keep_their_names(source: Source) -> None:
    assert found_packages(source, {"tool": PACKAGE}) == {"tool": PACKAGE}


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (NotFound(), PackagesUnknown, "no such package: tool"),
        (Ambiguous(candidates=("Tool", "tOOL")), ImageUnknown, "tool may be Tool or tOOL"),
        (NotAPackage(attribute="tool", kind="a function"), NotADerivation, "tool is a function"),
        (MetaPackage(attribute="tool", packages=("a",)), NotADerivation, "a meta package within"),
        (replace(PACKAGE, licenses=UNFREE), PolicyRefused, r"unfree licence own.*\(source set\)"),
        (Failed(message="removed"), EvaluationFailed, "tool: removed"),
        (Failed(message="removed", validity=Validity.PROCESS), EvaluationFailed, "tool: removed"),
        (Failed(message="slow", validity=Validity.MINUTES), EvaluationStopped, "tool: slow"),
        (Failed(message="offline", validity=Validity.NEVER), EvaluationStopped, "tool: offline"),
    ],
)
def test_each_other_result_has_an_error(
    source: Source, result: EvaluationResult, error: type[RegistryError], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        found_packages(source, {"tool": result})

    assert type(raised.value) is error


def test_all_unknown_names_are_reported_together(source: Source) -> None:
    with pytest.raises(PackagesUnknown, match="a, c"):
        found_packages(source, {"a": NotFound(), "b": PACKAGE, "c": NotFound()})


def test_supplied_packages_may_be_absent_or_refused(source: Source) -> None:
    results: dict[str, EvaluationResult] = {
        "tool": PACKAGE,
        "absent": NotFound(),
        "broken": Failed(message="removed"),
        "unfree": replace(PACKAGE, licenses=UNFREE),
    }

    assert present_packages(source, results) == {"tool": PACKAGE}


@pytest.mark.parametrize("validity", [Validity.MINUTES, Validity.NEVER])
def test_supplied_package_that_fails_for_a_while_ends_the_build(
    source: Source, validity: Validity
) -> None:
    failed = Failed(message="offline", validity=validity)

    with pytest.raises(EvaluationStopped, match=r"cacert, which the server adds.*: offline"):
        present_packages(source, {"cacert": failed})


def test_package_without_a_service_needs_nothing() -> None:
    assert service_of(PACKAGE) is None
    assert needed_by(PACKAGE) == ()


def test_invalid_service_is_an_error_that_names_the_attribute() -> None:
    with pytest.raises(EvaluationFailed, match="tool: its attribute nixery is not valid: "):
        needed_by(replace(PACKAGE, service="{"))
