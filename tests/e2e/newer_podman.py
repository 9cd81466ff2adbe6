"""Podman of the next Debian: this machine's own is from before the preference for zstd."""

import shutil
from pathlib import Path

from scripts import rootfs
from tests.e2e.clients import Podman
from tests.e2e.process import succeed
from tests.e2e.releases import Index, loaded, unpack

# What Podman depends on by its packaging, and a pull does not need.
_LEFT_OUT = ("adduser", "debconf", "dpkg", "gnupg", "golang-github-containers", "perl", "systemd")
# Podman starts itself again, so its C library has to be where it expects it.  Layers are unpacked
# in a process that makes the root's mount private.
_ENTER = """
root=$1; shift
mount --bind "$root" "$root"
for directory in dev proc sys; do mount --rbind /$directory "$root/$directory"; done
exec env -i PATH=/usr/sbin:/usr/bin HOME=/root PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
    "$(command -v chroot)" "$root" "$@"
"""


class NewerPodman(Podman):
    """In a root directory of its own, whose mounts end with each command: no overlays."""

    name = "podman"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._tree = unpack("trixie", _chosen, home / "tree")
        for name in ("bin", "lib", "lib64", "sbin"):
            (self._tree / "usr" / name).mkdir(exist_ok=True)
            (self._tree / name).symlink_to(f"usr/{name}")
        for name in ("dev", "proc", "root", "run", "sys", "tmp", "var/tmp", "etc/containers"):
            (self._tree / name).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group", "hosts", "containers/policy.json"):
            shutil.copy(f"/etc/{name}", self._tree / "etc" / name)
        enter = ("unshare", "--mount", "sh", "-e", "-c", _ENTER, "sh", str(self._tree))
        self.command: tuple[str, ...] = (*enter, "/usr/bin/podman", "--storage-driver=vfs")

    def run(self, image: str, *command: str) -> str:
        container = self.call("create", "--network=none", image, *command).strip()
        try:
            directory = self.call("mount", container).strip().removeprefix("/")
            done = rootfs.run_in(self._tree / directory, {"PATH": "/bin"}, *command)
            assert done.returncode == 0, done.stderr
            return done.stdout
        finally:
            self.call("rm", "--force", container)

    def release(self) -> tuple[int, ...]:
        version = succeed(*self.command, "version", "--format={{.Client.Version}}")
        return tuple(map(int, version.strip().split(".")))


def _chosen(index: Index) -> list[str]:
    return [*loaded(index, "podman", _LEFT_OUT), *loaded(index, "crun", _LEFT_OUT)]
