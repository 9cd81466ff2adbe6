"""Prepare packages, serve them, pull an image with a real client, and run its programs.

The server runs until Ctrl-C, or until the end of the run if DEMO_ONCE is set. PORT sets the port.
`make demo` installs the requirements and starts this program.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

from scripts import rootfs

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".state" / "demo"
IMAGE = "shell/git/htop"
COMMANDS = (("git", "--version"), ("htop", "--version"), ("bash", "-c", "echo $BASH_VERSION"))
START_SECONDS = 60


class Failed(Exception):
    """A step failed; the message is for the user."""


def main() -> int:
    if os.geteuid() != 0:
        print("demo: chroot, and Nix without a daemon, need root: use `make demo`", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, stop)
    STATE.mkdir(parents=True, exist_ok=True)
    try:
        demonstrate(once=bool(os.environ.get("DEMO_ONCE")))
    except Failed as reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(flush=True)
    report("the registry has stopped")
    return 0


def demonstrate(*, once: bool) -> None:
    packages = prepare_packages()
    log = STATE / "server.log"
    report("starting the registry")
    server = start_server(packages, log)
    try:
        registry = wait_for_address(server, log)
        report(f"serving at http://{registry}; its log is {log.relative_to(ROOT)}")
        pull_and_run(f"{registry}/{IMAGE}")
        if not once:
            print(f"\nNow you, while this keeps serving:\n\n    docker pull {registry}/{IMAGE}")
            print(f"    docker run --rm -it {registry}/{IMAGE}\n")
            print("An image's name lists what is in it. Ctrl-C ends the registry.", flush=True)
            raise Failed(f"the registry exited with status {server.wait()}:\n{tail(log)}")
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def prepare_packages() -> str:
    """Prepare the package set and return its directory; progress goes to the terminal."""
    report("preparing the packages (the first time: a download of some 100 MB, then a minute)")
    done = subprocess.run(
        [sys.executable, "nix/debian/generate.py", "prepare"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed("the packages could not be prepared; the reason is above")
    return done.stdout.strip()


def start_server(packages: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {
        "NIXERY_PORT": os.environ.get("PORT", "0"),
        "NIXERY_PKGS_PATH": packages,
        "NIXERY_STORAGE": "filesystem",
        "NIXERY_STORAGE_PATH": str(STATE / "storage"),
        "NIXERY_STATE_PATH": str(STATE),
        "NIXERY_ARCHITECTURES": "amd64,arm64",
        # No binary cache has the set, and root builds without build users.
        "NIX_CONFIG": "substitute = false\nbuild-users-group =",
    }
    with log.open("wb") as out:
        # A new session: Ctrl-C reaches this program only, which then stops the server.
        return subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for_address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"listening on http://[^\s\"]*?:(\d+)", log.read_text()):
            try:
                urlopen(f"http://localhost:{found[1]}/healthz", timeout=5).close()
            except OSError:  # refused, or the services are still being opened
                pass
            else:
                return f"localhost:{found[1]}"
        time.sleep(0.05)
    raise Failed(f"the registry did not start:\n{tail(log)}")


def pull_and_run(name: str) -> None:
    started = time.monotonic()
    layout = STATE / "pulled"
    copy = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"]
    run([*copy, f"docker://{name}", f"oci:{layout.relative_to(ROOT)}:demo"])
    image = rootfs.read(layout, "demo")
    size = sum(layer.stat().st_size for layer in image.layers) / 1e6
    took = time.monotonic() - started
    report(f"{image.digest[:19]}: {len(image.layers)} layers, {size:.0f} MB, in {took:.1f} s")
    root = STATE / "roots" / image.digest.replace(":", "-")
    if not root.exists():
        shutil.rmtree(root.parent, ignore_errors=True)
        rootfs.unpack(image, root)
    for command in COMMANDS:
        print(f"[{IMAGE}]$ {' '.join(command)}", flush=True)
        done = rootfs.run_in(root, image.variables, *command)
        print(done.stdout + done.stderr, end="", flush=True)
        if done.returncode:
            raise Failed(f"{command[0]} from the image exited with status {done.returncode}")


def run(command: list[str]) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{command[0]} exited with status {done.returncode}:\n{done.stderr}")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def report(message: str) -> None:
    print(f"demo: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
