"""Install the requirements of a target of the Makefile.

usage: python3 scripts/setup.py dev|demo|test|full

It uses the standard library only, because it runs first. Debian packages come from the machine's
own apt (root or sudo), uv from PyPI into .state/uv unless one is on the PATH, and the locked Python
packages into .venv. Installed programs are left as they are, so that a second run is short.
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

# Debian packages by a file or program whose absence means that they are missing.
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
    "docker-compose": "docker-compose",
    "docker-registry": "docker-registry",
    "podman": "podman",
    "buildah": "buildah",
    "nginx": "nginx-light",
    "caddy": "caddy",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "openssl": "openssl",
    "ssh-agent": "openssh-client",
    "curl": "curl",
    "gcc": "gcc",
    "g++": "g++",  # and the C library's headers
    "zstd": "zstd",
    "debootstrap": "debootstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "chromium": "chromium",
}
FULL = TEST | {"npm": "npm"}
NEEDS: dict[str, dict[str, str]] = {"dev": DEV, "demo": DEMO, "test": TEST, "full": FULL}
# Programs that later releases of Debian have in a package of their own.
SPLIT = {"docker": "docker-cli"}
# BuildKit's client is part of earlier releases' docker, and a plugin of this package's.
DOCKER_CLI = Path("/var/lib/dpkg/info/docker-cli.list")
BUILDX = {"/usr/libexec/docker/cli-plugins/docker-buildx": "docker-buildx"}

# Debian starts and enables services on installation; tests start their own.
UNITS = {
    "containerd": ("containerd.service",),
    "docker.io": ("docker.service", "docker.socket"),
    "docker-registry": ("docker-registry.service",),
    "podman": (
        "podman.service",
        "podman.socket",
        "podman-auto-update.timer",
        "podman-restart.service",
    ),
    "nginx-light": ("nginx.service",),
    "caddy": ("caddy.service",),
    "prometheus": ("prometheus.service",),
}
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in NEEDS:
        sys.exit(__doc__)
    needs = NEEDS[sys.argv[1]]
    install_debian(missing(needs))
    install_debian(missing({need: SPLIT[need] for need in needs.keys() & SPLIT.keys()}))
    if "docker" in needs and DOCKER_CLI.exists():
        install_debian(missing(BUILDX))
    uv = find_uv()
    # Use the machine's certificates, as apt, pip and git do, in place of uv's own.
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
            f"setup: this machine has no apt. Install the contents of these Debian packages: {' '.join(packages)}"
        )
    if os.geteuid() != 0 and not shutil.which("sudo"):
        sys.exit(f"setup: neither root nor sudo. As root, run: {command}")
    report(f"installing from Debian: {' '.join(packages)}")
    with without_starting_services():
        if not apt("install", *packages):
            # Usually the package lists are old or missing.
            apt("update")
            if not apt("install", *packages):
                sys.exit(
                    f"setup: apt could not install them; the reason is above. By hand: {command}"
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
        # The time-out above applies to dpkg's lock, not to that of the package lists.
        if (
            done.returncode == 0
            or "Could not get lock" not in done.stderr
            or time.monotonic() > deadline
        ):
            return done.returncode == 0
        report("waiting for another apt")
        time.sleep(5)


@contextlib.contextmanager
def without_starting_services() -> Iterator[None]:
    """Prevent installed services from starting, through Debian's policy-rc.d."""
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
    """Return uv from the PATH, or install it into .state.

    `pip --target` needs neither the venv module, a package of its own in Debian, nor permission to
    change the system's Python, which Debian refuses (PEP 668).
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
    report(f"installing {purpose}")
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(
            f"setup: could not install {purpose}; the reason is above. By hand: {' '.join(command)}"
        )


def as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def report(message: str) -> None:
    print(f"setup: {message}", flush=True)


if __name__ == "__main__":
    main()
