"""The settings of builds reach Nix."""

from contextlib import AsyncExitStack
from pathlib import Path

from app.builder.nix.closure import StorePath
from app.settings.settings import Settings
from app.system.environment import child_environment
from app.system.workers import Workers
from app.wiring.nix import open_nix
from tests.recorded_programs import RecordedPrograms


async def test_the_settings_of_builds_are_options_of_nix(tmp_path: Path) -> None:
    path = StorePath.parse(f"/nix/store/{'a' * 32}-package")
    digits = "A" * 43
    programs = RecordedPrograms(tmp_path)
    programs.add(
        "nix",
        stdout=f'{{"{path}": {{"narSize": 1, "references": [], "narHash": "sha256-{digits}=",'
        ' "x": "nix (Nix) 2.34.1"}}',
    )
    settings = Settings(
        state_path=tmp_path / "state",
        build_cores=3,
        build_jobs=5,
        stall_seconds=7,
        failure_seconds=11,
    )
    surroundings = {"PATH": str(programs.directory)}

    async with AsyncExitStack() as stack:
        nix = await open_nix(
            settings,
            stack,
            environment=child_environment(surroundings, home=tmp_path / "home"),
            workers=Workers(2),
        )
        await nix.closure([path])

    start = programs.starts[-1]
    assert (start.option("cores"), start.option("max-jobs")) == ("3", "5")
    assert start.option("connect-timeout") == "7"
    assert start.option("stalled-download-timeout") == "7"
    assert start.option("narinfo-cache-negative-ttl") == "11"
