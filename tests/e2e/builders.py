"""Programs that build images from a Dockerfile, behind one face."""

from pathlib import Path
from typing import Protocol

from tests.e2e.clients import Docker
from tests.e2e.process import succeed


class Builder(Protocol):
    name: str

    def build(self, context: Path, tag: str) -> None: ...

    def run(self, tag: str, *command: str) -> str:
        """Start a program in a container of a built image; returns its standard output."""
        ...


class DockerBuilder:
    def __init__(self, docker: Docker, *, buildkit: bool) -> None:
        self.name = "buildkit" if buildkit else "docker"
        self._docker = docker
        self._buildkit = buildkit

    def build(self, context: Path, tag: str) -> None:
        self._docker.build(context, f"{tag}-{self.name}", buildkit=self._buildkit)

    def run(self, tag: str, *command: str) -> str:
        return self._docker.run(f"{tag}-{self.name}", *command)


class Buildah:
    """Storage of its own; containers are a change of root, since more is often forbidden."""

    name = "buildah"

    def __init__(self, home: Path) -> None:
        self._root = home / "root"
        self.command = ("buildah", "--root", str(self._root), "--runroot", str(home / "run"))
        # Releases have different defaults, and root may be forbidden to raise a limit.
        self._limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=16384:16384")

    def build(self, context: Path, tag: str) -> None:
        succeed(
            *self.command, "bud", "--isolation=chroot", "--tls-verify=false", *self._limits,
            f"--tag={tag}", str(context),
        )  # fmt: skip

    def run(self, tag: str, *command: str) -> str:
        container = succeed(
            *self.command, "from", "--pull-never", *self._limits, f"localhost/{tag}"
        ).strip()
        return succeed(*self.command, "run", "--isolation=chroot", container, "--", *command)

    def close(self) -> None:
        """Undo the mount that the storage leaves, as in ``Podman``."""
        succeed(
            "sh",
            "-c",
            'umount --recursive "$1" 2>/dev/null || true',
            "sh",
            str(self._root / "overlay"),
        )
