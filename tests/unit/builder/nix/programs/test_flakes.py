"""Flakes that are prepared for evaluation."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from app.builder.nix.door import Flake, PackageSet
from app.builder.nix.programs.expression_processes import ExpressionProcesses
from app.builder.nix.programs.flakes import Flakes
from app.errors import StorageUnavailable
from app.system.workers import Workers
from tests.unit.builder.nix.programs.evaluations import EVALUATION

COMMIT = "1" * 40


class Processes:
    """Adds every directory as one store path; the flake lacks a lock file."""

    async def run(self, *_: object) -> bytes:
        return b"/nix/store/x-source\n"

    async def evaluate(self, *_: object) -> bytes:
        empty = {"unpinned": [], "places": {}, "branches": {}, "dated": False}
        return json.dumps({"complete": False, **empty}).encode()


async def test_a_temporary_directory_that_does_not_work_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    flakes = Flakes(processes=cast("ExpressionProcesses", Processes()), workers=Workers(1))
    package_set = PackageSet("flake", "/srv/flake", flake=Flake("", COMMIT, 0))

    with pytest.raises(StorageUnavailable, match="temporary directory does not work") as caught:
        await flakes.prepared(replace(EVALUATION, package_set=package_set))

    assert str(tmp_path) not in caught.value.message
