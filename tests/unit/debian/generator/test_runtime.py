from pathlib import Path

import pytest

from nix.debian.generator.release import ARCHITECTURES
from nix.debian.generator.runtime import RuntimeIncomplete, unpack_runtime
from tests.unit.debian.debs import Package

AMD64 = ARCHITECTURES["x86_64-linux"]
LIBC = Package(
    name="libc6",
    files={
        "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"loader",
        "lib/x86_64-linux-gnu/libc.so.6": b"libc",
        "usr/share/doc/libc6/copyright": b"",
    },
)
PYTHON = Package(
    name="python",
    files={
        "usr/bin/python3.11": b"python",
        "usr/lib/python3.11/os.py": b"os",
        "usr/lib/python3.11/json/__init__.py": b"json",
        "usr/lib/python3.11/sitecustomize.py": "/etc/python3.11/sitecustomize.py",
        "usr/lib/x86_64-linux-gnu/libexpat.so.1": "libexpat.so.1.8",
        "usr/lib/x86_64-linux-gnu/libexpat.so.1.8": b"expat",
    },
)
TOOLS = Package(name="tools", files={"bin/busybox": b"busybox", "usr/bin/zstd": b"zstd"})


def unpacked(directory: Path, *packages: Package) -> Path:
    files = [p.write(directory / f"{p.name}.deb") for p in packages]
    (directory / "into").mkdir()
    return unpack_runtime(files, AMD64, directory / "into")


@pytest.mark.slow
def test_runtime_contains_only_programs_libraries_and_modules(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, LIBC, PYTHON, TOOLS)
    files = {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*") if p.is_file()}
    assert files == {
        "bin/busybox": b"busybox",
        "bin/python3": b"python",
        "bin/zstd": b"zstd",
        "lib/ld-linux-x86-64.so.2": b"loader",
        "lib/libc.so.6": b"libc",
        "lib/libexpat.so.1": b"expat",
        "lib/libexpat.so.1.8": b"expat",
        "lib/python3.11/json/__init__.py": b"json",
        "lib/python3.11/os.py": b"os",
    }
    assert not any(path.is_symlink() for path in tree.rglob("*"))
    assert (tree / "bin/busybox").stat().st_mode & 0o777 == 0o555
    assert (tree / "lib/python3.11/os.py").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    ("packages", "missing"),
    [((LIBC, PYTHON), "busybox, zstd"), ((PYTHON, TOOLS), "ld-linux-x86-64.so.2")],
)
def test_incomplete_runtime_is_rejected(
    tmp_path: Path, packages: tuple[Package, ...], missing: str
) -> None:
    with pytest.raises(RuntimeIncomplete, match=missing):
        unpacked(tmp_path, *packages)
