"""Real clients behind one face: pull an image, run a program from it.

Every one keeps its data below a directory of its own and, where there is a daemon, has a
daemon of its own; what else the machine runs is not touched.
"""

import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from scripts import rootfs
from tests.e2e.process import SYSTEM_PATH, Process, both_streams, run, succeed

# Plugins of containerd that need a network of containers.
_KUBERNETES = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
]


class Client(Protocol):
    """Images are named HOST:PORT/NAME:TAG, as on a command line."""

    name: str

    def pull_command(self, image: str, *options: str) -> tuple[str, ...]:
        """Return the command that pulls; over plain HTTP unless there are options."""
        ...

    def try_pull(
        self, image: str, *options: str, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run the command of `pull_command`, and return also if it fails."""
        ...

    def run(self, image: str, *command: str) -> str:
        """Start a pulled image's program by the image's own PATH; returns its standard output."""
        ...

    def architecture(self, image: str) -> str:
        """Return the architecture of a pulled image, by its config."""
        ...

    def remove(self, image: str) -> None:
        """Remove a pulled image and all content that no other image has."""
        ...

    def close(self) -> None: ...


def pull(client: Client, image: str, *options: str, timeout: float = 300) -> None:
    done = client.try_pull(image, *options, timeout=timeout)
    assert done.returncode == 0, f"{client.name} pull {image}:\n{done.stdout}{done.stderr}"


class Skopeo:
    """Copies to an OCI layout; the rest of an engine's work is ours."""

    name = "skopeo"

    def __init__(self, home: Path, command: Sequence[str] = ("skopeo",)) -> None:
        self._home = home
        self.command = tuple(command)

    def _layout(self, image: str) -> Path:
        return self._home / "".join(c if c.isalnum() else "-" for c in image)

    def pull_command(self, image: str, *options: str) -> tuple[str, ...]:
        options = options or ("--src-tls-verify=false",)
        layout = f"oci:{self._layout(image)}:pulled"
        return (*self.command, "--insecure-policy", "copy", *options, f"docker://{image}", layout)

    def try_pull(
        self, image: str, *options: str, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.pull_command(image, *options), timeout=timeout)

    def remove(self, image: str) -> None:
        shutil.rmtree(self._layout(image))

    def run(self, image: str, *command: str) -> str:
        variables = rootfs.read(self._layout(image), "pulled").variables
        return _run_in(self.unpacked(image), variables, *command)

    def architecture(self, image: str) -> str:
        layout = self._layout(image)
        return succeed(
            "skopeo", "inspect", "--format={{.Architecture}}", f"oci:{layout}:pulled"
        ).strip()

    def layers(self, image: str) -> list[str]:
        """Return the media types of a pulled image's layers."""
        layout = self._layout(image)
        raw = succeed("skopeo", "inspect", "--raw", f"oci:{layout}:pulled")
        return [str(layer["mediaType"]) for layer in json.loads(raw)["layers"]]

    def unpacked(self, image: str) -> Path:
        """The root file system of a pulled image."""
        root = self._layout(image).with_suffix(".root")
        rootfs.unpack(rootfs.read(self._layout(image), "pulled"), root)
        return root

    def close(self) -> None:
        """Nothing runs between two calls."""


class Containerd:
    """A containerd of our own, asked by ctr."""

    name = "containerd"

    def __init__(self, home: Path, programs: Path = Path("/usr/bin")) -> None:
        self.socket = home / "containerd.sock"
        self._programs = programs
        config = home / "config.toml"
        config.write_text(
            "version = 2\n"
            f"root = {json.dumps(str(home / 'root'))}\n"
            f"state = {json.dumps(str(home / 'state'))}\n"
            f"disabled_plugins = {json.dumps(_KUBERNETES)}\n"
            f"[grpc]\naddress = {json.dumps(str(self.socket))}\n"
        )
        self._daemon = Process(
            [str(programs / "containerd"), "--config", str(config)],
            log=home / "log",
            env={"PATH": f"{programs}:{SYSTEM_PATH}"},
        )
        self._daemon.wait_until(lambda: run(*self.command, "version").returncode == 0)

    @property
    def command(self) -> tuple[str, ...]:
        return (str(self._programs / "ctr"), "--address", str(self.socket))

    def pull_command(self, image: str, *options: str) -> tuple[str, ...]:
        options = options or ("--plain-http",)
        return (*self.command, "images", "pull", *options, image)

    def try_pull(
        self, image: str, *options: str, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.pull_command(image, *options), timeout=timeout)

    def remove(self, image: str) -> None:
        succeed(*self.command, "images", "rm", "--sync", image)

    def run(self, image: str, *command: str) -> str:
        return succeed(*self.command, "run", "--rm", image, f"t{uuid.uuid4().hex[:12]}", *command)

    def call(self, *arguments: str) -> str:
        return succeed(*self.command, *arguments)

    def architecture(self, image: str) -> str:
        listed = succeed(*self.command, "images", "list", f"name=={image}")
        target = self._document(listed[listed.index("sha256:") :].split()[0])
        stored = succeed(*self.command, "content", "list", "--quiet").split()
        manifests = [
            self._document(one["digest"])
            for one in target.get("manifests", ())
            if one["digest"] in stored
        ]
        # Of an index, those of the platform that was pulled.
        [manifest] = manifests or [target]
        return str(self._document(manifest["config"]["digest"])["architecture"])

    def _document(self, digest: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(succeed(*self.command, "content", "get", digest))
        return document

    def close(self) -> None:
        self._daemon.stop()


class Docker:
    """A dockerd of our own, over the given containerd; without network, so without iptables."""

    def __init__(
        self,
        home: Path,
        *,
        containerd: Containerd,
        name: str = "docker",
        daemon: str | Path = "dockerd",
    ) -> None:
        self.name = name
        self._host_network = home / "exec" / "netns" / "default"
        (home / "daemon.json").write_text("{}")
        self.command = ("docker", "--host", f"unix://{home / 'docker.sock'}")
        self._daemon = Process(
            [
                str(daemon), "--config-file", str(home / "daemon.json"),
                "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
                "--pidfile", str(home / "pid"), "--host", f"unix://{home / 'docker.sock'}",
                "--containerd", str(containerd.socket), "--containerd-namespace", f"{name}-under-test",
                "--iptables=false", "--ip6tables=false", "--bridge=none",
            ],
            log=home / "log",
        )  # fmt: skip
        self._daemon.wait_until(lambda: run(*self.command, "version").returncode == 0)

    def pull_command(self, image: str, *options: str) -> tuple[str, ...]:
        return (*self.command, "pull", *options, image)

    def try_pull(
        self, image: str, *options: str, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.pull_command(image, *options), timeout=timeout)

    def remove(self, image: str) -> None:
        succeed(*self.command, "image", "rm", image)

    def run(self, image: str, *command: str) -> str:
        return self.run_as((), image, *command)

    def run_as(self, options: Sequence[str], image: str, *command: str) -> str:
        """The same with options of `docker run`."""
        return self.call("run", "--rm", "--network=none", *options, image, *command)

    def call(self, *arguments: str) -> str:
        """Run the command line with any arguments; returns its standard output."""
        return succeed(*self.command, *arguments)

    def build(self, context: Path, tag: str, *, buildkit: bool) -> None:
        """Build the context's Dockerfile with the classic builder or BuildKit."""
        # Debian's own client has BuildKit's side in it; later ones want a plugin for it.
        client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else self.command[0]
        succeed(
            client, *self.command[1:], "build", "--network=none", "--no-cache",
            f"--tag={tag}", str(context), env={"DOCKER_BUILDKIT": str(int(buildkit))},
        )  # fmt: skip

    def both(self, *arguments: str) -> str:
        """The same; returns what it writes to standard error as well."""
        return both_streams(*self.command, *arguments)

    def architecture(self, image: str) -> str:
        form = "--format={{.Architecture}}"
        return succeed(*self.command, "image", "inspect", form, image).strip()

    def release(self) -> tuple[int, int]:
        """The daemon's, major and minor."""
        version = succeed(*self.command, "version", "--format={{.Server.Version}}")
        major, minor, *_ = version.split(".")
        return int(major), int(minor)

    def close(self) -> None:
        self._daemon.stop()
        run("umount", str(self._host_network))  # fails if no container had the machine's network


# Podman starts containers with greater ones than its own.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")


class Podman:
    """Podman with a storage of its own.

    Starting its containers raises limits, which build machines often forbid.  So containers get
    limits, or they are created, mounted and entered instead.
    """

    name = "podman"

    def __init__(self, home: Path) -> None:
        self._mount = home / "root" / "overlay"
        # Podman refuses paths of more than 50 characters.
        self._run = Path(tempfile.mkdtemp(prefix="podman-"))
        self.command: tuple[str, ...] = (
            *("podman", "--root", str(home / "root"), "--runroot", str(self._run)),
        )

    def pull_command(self, image: str, *options: str) -> tuple[str, ...]:
        options = options or ("--tls-verify=false",)
        return (*self.command, "pull", *options, image)

    def try_pull(
        self, image: str, *options: str, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.pull_command(image, *options), timeout=timeout)

    def remove(self, image: str) -> None:
        succeed(*self.command, "rmi", image)

    def run(self, image: str, *command: str) -> str:
        container = succeed(*self.command, "create", "--network=none", image, *command).strip()
        try:
            [document] = json.loads(succeed(*self.command, "container", "inspect", container))
            variables = dict(variable.split("=", 1) for variable in document["Config"]["Env"])
            root = Path(succeed(*self.command, "mount", container).strip())
            return _run_in(root, variables, *command)
        finally:
            succeed(*self.command, "rm", "--force", container)

    def run_as(self, options: Sequence[str], image: str, *command: str) -> str:
        """Run a command with options of `podman run`; returns its standard output."""
        return self.call("run", "--rm", "--network=none", *LIMITS, *options, image, *command)

    def call(self, *arguments: str) -> str:
        return succeed(*self.command, *arguments)

    def both(self, *arguments: str) -> str:
        return both_streams(*self.command, *arguments)

    def architecture(self, image: str) -> str:
        form = "--format={{.Architecture}}"
        return succeed(*self.command, "image", "inspect", form, image).strip()

    def close(self) -> None:
        # Podman binds its overlay directory to itself and leaves it so, which looks like no
        # mount to Python; where the driver is another, there is nothing to unmount.
        run("umount", str(self._mount))
        shutil.rmtree(self._run, ignore_errors=True)


def _run_in(root: Path, variables: dict[str, str], *command: str) -> str:
    done = rootfs.run_in(root, variables, *command)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
