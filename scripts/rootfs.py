"""Images pulled by skopeo as root file systems, and programs run in them; no engine needed."""

import json
import shutil
import subprocess
from pathlib import Path


def unpack(image: Path, root: Path) -> None:
    """Unpack what `skopeo copy --dest-decompress ... dir:IMAGE` left behind, lowest layer first."""
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for layer in json.loads((image / "manifest.json").read_bytes())["layers"]:
        tar = ["tar", "--extract", "--preserve-permissions", "--numeric-owner"]
        subprocess.run(
            [*tar, f"--directory={partial}", f"--file={_blob(image, layer)}"], check=True
        )
    partial.rename(root)


def contents(image: Path) -> tuple[int, int]:
    """The number of layers, and their size in bytes when unpacked."""
    layers = json.loads((image / "manifest.json").read_bytes())["layers"]
    return len(layers), sum(_blob(image, layer).stat().st_size for layer in layers)


def variables(image: Path) -> dict[str, str]:
    """The environment the image asks for."""
    manifest = json.loads((image / "manifest.json").read_bytes())
    config = json.loads(_blob(image, manifest["config"]).read_bytes())
    return dict(variable.split("=", 1) for variable in config["config"]["Env"])


def run_in(
    root: Path, env: dict[str, str], *command: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside, in mount and process namespaces of its own. Root's business.

    Of the caller's environment nothing gets in: chroot finds the program by the image's PATH.
    """
    unshare, chroot = (
        shutil.which("unshare"),
        shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin"),
    )
    assert unshare, "unshare comes with every Debian"
    assert chroot, "chroot comes with every Debian"
    return subprocess.run(
        [unshare, "--mount", "--pid", "--fork", "--kill-child", chroot, str(root), *command],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _blob(image: Path, descriptor: dict[str, str]) -> Path:
    return image / descriptor["digest"].removeprefix("sha256:")
