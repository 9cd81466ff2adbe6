from pathlib import Path

from nix.debian.generator.setdir import TREE, SetDirectory, refresh


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_copy_has_all_files_that_nix_reads_and_no_lock(tmp_path: Path) -> None:
    refresh(SetDirectory(tmp_path / "set"))
    copied = contents(tmp_path / "set")
    assert {"default.nix", "all.nix", "redirect.c", "unit-builder.sh", "builder/build.py"} < set(
        copied
    )
    assert not any(name.startswith(("locks", "generator", "wanted")) for name in copied)
    assert all((TREE / name).read_bytes() == content for name, content in copied.items())


def test_copy_is_updated_and_keeps_its_locks(tmp_path: Path) -> None:
    directory = SetDirectory(tmp_path)
    refresh(directory)
    (tmp_path / "lib.nix").write_text("old")
    directory.lock("x86_64-linux").parent.mkdir()
    directory.lock("x86_64-linux").write_text("lock")
    refresh(directory)
    assert (tmp_path / "lib.nix").read_bytes() == (TREE / "lib.nix").read_bytes()
    assert directory.lock("x86_64-linux").read_text() == "lock"


def test_directory_is_complete_if_every_system_is_resolved_or_absent(
    tmp_path: Path,
) -> None:
    directory, systems = SetDirectory(tmp_path), ("x86_64-linux", "aarch64-linux")
    directory.lock("x").parent.mkdir()
    directory.lock("x86_64-linux").touch()
    assert not directory.is_complete(systems)
    directory.absent("aarch64-linux").touch()
    assert directory.is_complete(systems)
