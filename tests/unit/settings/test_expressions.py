"""Where the server's own Nix expressions are found."""

from pathlib import Path

import pytest

from app.settings import expressions
from app.settings.expressions import EMBEDDED_PACKAGES, EXPRESSIONS, expressions_directory


def test_in_a_source_tree_they_are_beside_the_package() -> None:
    assert Path(__file__).parents[3] / "nix" == EXPRESSIONS
    assert (EMBEDDED_PACKAGES / "default.nix").is_file()


def test_an_installed_package_has_them_inside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "app" / "nix").mkdir(parents=True)
    (tmp_path / "nix").mkdir()
    monkeypatch.setattr(expressions, "files", lambda name: tmp_path / name)

    assert expressions_directory() == tmp_path / "app" / "nix"
