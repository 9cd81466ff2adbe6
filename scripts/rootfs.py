"""Unpack images that skopeo pulled, and run programs in them without a container engine."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TAG = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in an OCI layout, as `skopeo copy ... oci:LAYOUT:TAG` writes it.

    ``layers`` are compressed tars, lowest first; ``variables`` is the image's environment.
    """

    digest: str
    layers: tuple[Path, ...]
    variables: dict[str, str]


def read(layout: Path, tag: str) -> Image:
    """Read the image with a tag (image-spec, image-layout.md); earlier images have lost the tag."""

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
    """Unpack all layers atomically; an existing directory is left as it is."""
    if root.exists():
        return
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for layer in image.layers:
        # tar detects the compression.
        tar = ["tar", "--extract", "--preserve-permissions", "--numeric-owner"]
        subprocess.run([*tar, f"--directory={partial}", f"--file={layer}"], check=True)
    partial.rename(root)


# Mounts devices and processes as an engine would, for one run only.
_ENTER = """
mount=$1 chroot=$2 root=$3
shift 3
"$mount" --rbind /dev "$root/dev" && "$mount" -t proc proc "$root/proc" && exec "$chroot" "$root" "$@"
"""
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run_in(
    root: Path, env: dict[str, str], *command: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside, in new mount and process namespaces. Needs root.

    The environment is ``env`` only, whose PATH is searched for the program.
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
