"""Another release of Debian in a directory, and commands run in it as root."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.deb822 import paragraphs
from nix.debian.generator.release import Release
from nix.debian.generator.sources import source_for
from nix.debian.generator.workplace import read_host
from tests.e2e.process import succeed

# In namespaces of its own, which end with the command: mounts, processes, a private /nix and /tmp.
# Both are on the disk: a whole run of the tests leaves more in /tmp than half of the memory.
_ENTER = r"""
root=$1; shift
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
cd "$root"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
cd "$1"; shift
# This shell stays, as the process that waits for orphans.
env -u NIX_CONF_DIR -u NIX_REMOTE -u CI HOME=/root LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
exit $?
"""
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Debian:
    root: Path

    def run(self, *command: str, directory: str, timeout: float) -> str:
        enter = ("sh", "-e", "-c", _ENTER, "sh", str(self.root), directory)
        isolated = ("unshare", "--mount", "--pid", "--fork", "--kill-child", *enter)
        return succeed(*isolated, *command, timeout=timeout)


def bootstrap(codename: str, packages: tuple[str, ...], root: Path) -> Debian:
    """Install the smallest system there is, and these packages, from the machine's own archive."""
    host = read_host()
    [source] = paragraphs(
        source_for(Release("debian", codename), host.release, host.sources).splitlines()
    )
    succeed(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(('ca-certificates', *packages))}",
        codename,
        str(root),
        source["URIs"].split()[0],
        timeout=1800,
    )
    # How this machine reaches networks: names, proxies, certificates.
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    for path in Path("/etc/apt/apt.conf.d").glob("99*"):
        shutil.copy(path, root / "etc/apt/apt.conf.d")
    for path in Path("/usr/local/share/ca-certificates").rglob("*.crt"):
        shutil.copy(path, root / "usr/local/share/ca-certificates")
    shutil.copy("/" / _CERTIFICATES, root / _CERTIFICATES)
    return Debian(root)
