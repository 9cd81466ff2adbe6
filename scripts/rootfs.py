"""Images pulled by skopeo as root file systems, and programs run in them; no engine needed."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TAG = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Image:
    """What `skopeo copy ... oci:LAYOUT:TAG` left behind; ``layers`` are compressed tars, lowest
    first, ``variables`` the environment the image asks for."""

    digest: str
    layers: tuple[Path, ...]
    variables: dict[str, str]


def read(layout: Path, tag: str) -> Image:
    """image-spec, image-layout.md. What a tag meant before stays listed, without it."""

    def blob(descriptor: dict[str, str]) -> Path:
        return layout / "blobs" / descriptor["digest"].replace(":", "/")

    listed = json.loads((layout / "index.json").read_bytes())["manifests"]
    [described] = [entry for entry in listed if entry.get("annotations", {}).get(TAG) == tag]
    manifest = json.loads(blob(described).read_bytes())
    config = json.loads(blob(manifest["config"]).read_bytes())
    return Image(
        digest=described["digest"],
        layers=tuple(blob(layer) for layer in manifest["layers"]),
        variables=dict(variable.split("=", 1) for variable in config["config"]["Env"]),
    )


def unpack(image: Image, root: Path) -> None:
    """Whole or not at all; what is there already stays."""
    if root.exists():
        return
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for layer in image.layers:
        # Which compression it is, tar sees by itself.
        tar = ["tar", "--extract", "--preserve-permissions", "--numeric-owner"]
        subprocess.run([*tar, f"--directory={partial}", f"--file={layer}"], check=True)
    partial.rename(root)


# Devices and processes are mounted where an engine would mount them, for one run only.
_ENTER = """
mount=$1 chroot=$2 root=$3
shift 3
"$mount" --rbind /dev "$root/dev" && "$mount" -t proc proc "$root/proc" && exec "$chroot" "$root" "$@"
"""
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run_in(
    root: Path, env: dict[str, str], *command: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside, in mount and process namespaces of its own. Root's business.

    Of the caller's environment nothing gets in; the program is found by the PATH of ``env``.
    """
    for mount_point in ("dev", "proc"):
        (root / mount_point).mkdir(exist_ok=True)
    unshare, sh, mount, chroot = (
        shutil.which(name, path=_SYSTEM_PATH) or name
        for name in ("unshare", "sh", "mount", "chroot")
    )
    namespaces = [unshare, "--mount", "--pid", "--fork", "--kill-child"]
    return subprocess.run(
        [*namespaces, sh, "-c", _ENTER, "sh", mount, chroot, str(root), *command],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
