"""What the services take from the settings, and what /debug shows of these to the public."""

from contextlib import AsyncExitStack
from pathlib import Path

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.programs.local_store import LocalStore
from app.builder.sources.definition import GitDefinition, PathDefinition
from app.settings.sections import layers
from app.settings.settings import Settings
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.environment import child_environment
from app.system.workers import Workers
from app.wiring.nix import open_nix
from app.wiring.services import load_profiles
from app.wiring.shown import activity, shown_settings
from tests.recorded_programs import RecordedPrograms


def test_settings_are_shown_without_credentials_and_directories() -> None:
    settings = Settings(
        pkgs_repo="file:///srv/hidden/packages",
        plan="https://joe:hunter2@example.org/popularity?token=hunter2",
        storage_path=Path("/hidden"),
        state_path=Path("/srv/hidden/state"),
        sources=(
            PathDefinition(name="own", location=Path("/srv/hidden/own")),
            GitDefinition(name="git", location="git+file:///srv/hidden/more"),
        ),
    )

    shown = shown_settings(settings)

    assert shown["NIXERY_PKGS_REPO"] == "file:packages"
    assert shown["NIXERY_PLAN"] == "https://***@example.org/popularity?token=***"
    assert shown["NIXERY_STATE_PATH"] == "state"
    assert not [value for value in shown.values() if "hunter2" in value or "srv" in value]
    assert not [
        value
        for name, value in shown.items()
        if "/" in value and name not in ("NIXERY_PLAN", "NIXERY_TRUSTED_PROXIES")
    ]
    assert "hidden/" not in str(shown)


async def test_activity_counts_starts_of_nix_and_what_was_packed(tmp_path: Path) -> None:
    programs = RecordedPrograms(tmp_path)
    programs.add("nix", stdout="nix (Nix) 2.34.1")
    storage = MemoryStorage()

    async with AsyncExitStack() as stack:
        nix = await open_nix(
            Settings(state_path=tmp_path / "state"),
            stack,
            environment=child_environment({"PATH": str(programs.directory)}, home=tmp_path),
            workers=Workers(2),
        )
        packer = LayerPacker(
            storage=storage,
            existence=BlobExistenceCache(storage),
            workers=Workers(1),
            codecs=codec.find_all("gzip"),
            store=LocalStore(tmp_path, query=nix.closure),
        )
        await nix.version()
        counts = activity(nix, packer)
        await packer.close()

    # One is the start of the server.
    assert counts["nix.version"] == 2
    assert counts["packing.paths_packed"] == 0
    assert counts["evaluators.answered"] == 0


async def test_the_shipped_layer_plans_are_used_unless_the_settings_have_none() -> None:
    shipped = await load_profiles(Settings(plan=layers.SHIPPED), MemoryStorage())
    none = await load_profiles(Settings(plan=layers.NO_PLAN), MemoryStorage())

    assert shipped.identities
    assert not none.identities
