"""Install what a command of the Makefile needs and this machine lacks.

usage: python3 scripts/setup.py dev|demo|test

Standard library only and no third-party anything, because it runs first. Debian packages come
from the machine's own apt (root or sudo), uv from PyPI into .state/uv unless one is on the PATH,
and the locked Python packages into .venv. What is there already is left alone, so that a second
run takes a moment.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_HOME = ROOT / ".state" / "uv"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# A file's absence, or a program's, means: install that Debian package.
DEV = {
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "git": "git",
    "mkfs.ext4": "e2fsprogs",
}
DEMO = DEV | {
    "nix-instantiate": "nix-bin",
    "/bin/busybox": "busybox-static",
    "xz": "xz-utils",
    "skopeo": "skopeo",
}
TEST = DEMO | {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "podman": "podman",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "ssh-agent": "openssh-client",
    "curl": "curl",
    "zstd": "zstd",
    "debootstrap": "debootstrap",
}
NEEDS: dict[str, dict[str, str]] = {"dev": DEV, "demo": DEMO, "test": TEST}

# Debian starts and enables services on installation; the tests bring up their own, privately.
UNITS = {
    "containerd": ("containerd.service",),
    "docker.io": ("docker.service", "docker.socket"),
    "podman": (
        "podman.service",
        "podman.socket",
        "podman-auto-update.timer",
        "podman-restart.service",
    ),
    "nginx-light": ("nginx.service",),
}
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in NEEDS:
        sys.exit(__doc__)
    install_debian(missing(NEEDS[sys.argv[1]]))
    uv = find_uv()
    # By the certificates this machine trusts, as apt, pip and git do; uv would bring its own.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    run([uv, "sync", "--locked", "--quiet"], "the Python packages of uv.lock")


def missing(needs: dict[str, str]) -> list[str]:
    path = os.environ.get("PATH", "") + ":" + SYSTEM_PATH
    return sorted(
        {
            package
            for need, package in needs.items()
            if not shutil.which(need, path=path, mode=os.F_OK)
        }
    )


def install_debian(packages: list[str]) -> None:
    if not packages:
        return
    command = "apt-get install --no-install-recommends " + " ".join(packages)
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        sys.exit(
            f"setup: this machine has no apt. Install what these Debian packages hold: {' '.join(packages)}"
        )
    if os.geteuid() != 0 and not shutil.which("sudo"):
        sys.exit(f"setup: neither root nor sudo. Ask someone who may to run: {command}")
    say(f"installing from Debian: {' '.join(packages)}")
    with services_asleep():
        if not apt("install", *packages):
            # Most often the lists are old or were never fetched.
            apt("update")
            if not apt("install", *packages):
                sys.exit(
                    f"setup: apt could not install them; its reason stands above. By hand: {command}"
                )
    if Path("/run/systemd/system").exists():
        units = [unit for package in packages for unit in UNITS.get(package, ())]
        if units:
            subprocess.run([*as_root(), "systemctl", "--quiet", "disable", *units], check=False)


def apt(verb: str, *packages: str) -> bool:
    """Run apt-get, waiting for up to ten minutes for another one to finish."""
    options = ["-y", "-q", "-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0"]
    if verb == "install":
        options.append("--no-install-recommends")
    environment = ["env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l"]
    deadline = time.monotonic() + 600
    while True:
        done = subprocess.run(
            [*as_root(), *environment, "apt-get", *options, verb, *packages],
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        sys.stderr.write(done.stderr)
        # The time-out above covers dpkg's lock; the one of the package lists has none.
        if (
            done.returncode == 0
            or "Could not get lock" not in done.stderr
            or time.monotonic() > deadline
        ):
            return done.returncode == 0
        say("another apt is at work; waiting")
        time.sleep(5)


@contextlib.contextmanager
def services_asleep() -> Iterator[None]:
    """Keep installed services from starting, by the hook Debian's policy has for it."""
    if POLICY.exists():
        yield
        return
    subprocess.run(
        [*as_root(), "tee", str(POLICY)],
        input=b"#!/bin/sh\nexit 101\n",
        stdout=subprocess.DEVNULL,
        check=True,
    )
    subprocess.run([*as_root(), "chmod", "755", str(POLICY)], check=True)
    try:
        yield
    finally:
        subprocess.run([*as_root(), "rm", "-f", str(POLICY)], check=True)


def find_uv() -> str:
    """uv from the PATH, or installed beside the project.

    `pip --target` needs neither the venv module (Debian splits it off) nor leave to change the
    system's Python (Debian's refuses, by PEP 668).
    """
    if found := shutil.which("uv"):
        return found
    uv = UV_HOME / "bin" / "uv"
    if not uv.exists():
        if subprocess.run(
            [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode:
            install_debian(["python3-pip"])
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--root-user-action=ignore",
            "--target",
            str(UV_HOME),
        ]
        run([*pip, "uv"], "uv, from PyPI into .state/uv")
    return str(uv)


def run(command: list[str], purpose: str) -> None:
    say(f"installing {purpose}")
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(
            f"setup: could not install {purpose}; the reason stands above. By hand: {' '.join(command)}"
        )


def as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def say(message: str) -> None:
    print(f"setup: {message}", flush=True)


main()
