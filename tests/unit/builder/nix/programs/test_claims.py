"""Claims of packages about their store paths, compared with derivations on the disk."""

from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.programs import claims
from app.builder.nix.programs.claims import check_claims, check_each_claim
from app.builder.nix.programs.derivation import parse_outputs
from app.builder.nix.results import Failed, Found, NotFound, Validity

PATH = StorePath.parse("/nix/store/" + "a" * 32 + "-tool-1")
OTHER = StorePath.parse("/nix/store/" + "b" * 32 + "-other-1")
DERIVATION = StorePath.parse("/nix/store/" + "c" * 32 + "-tool-1.drv")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which derivations are looked up by their names."""

    def read(derivation: str) -> dict[str, str]:
        return parse_outputs((tmp_path / Path(derivation).name).read_text())

    monkeypatch.setattr(claims, "read_outputs", read)
    return tmp_path


def package(path: StorePath = PATH, output: str = "out") -> Found:
    return Found(attribute="tool", derivation=DERIVATION, output=output, path=path)


def write(store: Path, text: str) -> None:
    (store / DERIVATION.base).write_text(text)


def test_path_of_the_output_is_accepted(store: Path) -> None:
    write(store, f'Derive([("out","{PATH}","","")],[])')
    results = (package(), NotFound())

    assert check_claims(results) == results
    assert check_each_claim(results) == results


@pytest.mark.parametrize("claimed", [package(OTHER), package(output="bin")])
def test_another_path_is_rejected_and_the_right_one_is_not_named(
    store: Path, claimed: Found
) -> None:
    write(store, f'Derive([("out","{PATH}","","")],[])')

    [result] = check_claims([claimed]) or ()

    assert result == Failed(
        attribute="tool", message="its outPath is not an output of its derivation"
    )


def test_file_that_is_not_a_derivation_is_rejected(store: Path) -> None:
    write(store, "nonsense")

    [result] = check_claims([package()]) or ()

    assert result == Failed(attribute="tool", message="its derivation is invalid")


def test_deleted_derivation_is_evaluated_again_or_a_passing_failure(store: Path) -> None:
    results = (package(), NotFound())

    assert check_claims(results) is None
    assert check_each_claim(results) == (
        Failed(
            attribute="tool",
            message="its derivation is not in the store",
            validity=Validity.NEVER,
        ),
        NotFound(),
    )
