import os
from pathlib import Path

import pytest

from app.settings.settings import Settings
from app.system.cpus import usable_cpus


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a process in the group /system/server of a machine with 64 processors, 8 of them ours."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "system/server").mkdir(parents=True)
    file = tmp_path / "own"
    file.write_text("2:cpu:/elsewhere\n0::/system/server\n")
    return file


@pytest.mark.parametrize(
    ("server", "system", "expected"),
    [
        (None, None, 8),
        ("max 100000", None, 8),
        ("200000 100000", None, 2),
        ("150000 100000", "max 100000", 2),
        ("10000 100000", None, 1),
        ("max 100000", "300000 100000", 3),
        ("1600000 100000", None, 8),
        ("what is this", None, 8),
    ],
)
def test_a_process_uses_the_processors_it_may(
    tmp_path: Path, own: Path, server: str | None, system: str | None, expected: int
) -> None:
    for limit, group in ((server, "system/server"), (system, "system")):
        if limit is not None:
            (tmp_path / group / "cpu.max").write_text(f"{limit}\n")

    assert usable_cpus(cgroups=tmp_path, own=own) == expected


def test_without_cgroups_the_processors_count(tmp_path: Path, own: Path) -> None:
    assert usable_cpus(cgroups=tmp_path, own=tmp_path / "missing") == 8


def test_there_are_as_many_workers_as_usable_processors(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIXERY_WORKERS", raising=False)

    assert 1 <= Settings().workers <= 8
