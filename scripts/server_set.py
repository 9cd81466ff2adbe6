"""Make a package set that has the server itself, and print its directory.

usage: [EXTRAS=gcs,otel] python -m scripts.server_set [IMAGE]

The set is the embedded one with `nixery`, built from the wheels of uv.lock and of this tree, in
.state/server-set; EXTRAS are optional dependencies to add. With IMAGE, write the server's image to
this file. Needs Nix, as root or with a daemon.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from nix.debian.generator.nixstore import NixStore, nix_environment
from nix.debian.generator.storepath import flat_path
from scripts.setup import ROOT, find_uv

MACHINE = platform.machine()
SYSTEM = f"{MACHINE}-linux"
# Platform tags of wheels; Debian 12 has glibc 2.36.
PLATFORMS = tuple(f"manylinux{version}_{MACHINE}" for version in ("_2_28", "_2_17", "2014"))
# With packages for it to serve.
IMAGE = "nixery/nixery-packages"
SET = """\
{{ ... }}@arguments: import {server} (arguments // {{
  packages = {packages};
  wheels = builtins.fromJSON (builtins.readFile ./wheels.json);
  own = ./{own};
}})
"""


def main() -> int:
    directory = make(ROOT / ".state" / "server-set")
    print(directory)
    if len(sys.argv) > 1:
        os.environ["NIXERY_PKGS_PATH"] = str(directory)
        for name in ("storage", "state"):
            os.environ[f"NIXERY_{name.upper()}_PATH"] = str(directory.with_name("image") / name)
        print(output(sys.executable, "-m", "app", "build", IMAGE, "--output", sys.argv[1]))
    return 0


def make(directory: Path) -> Path:
    """Do the missing steps. Blocking."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = str(ROOT / "nix" / "debian" / "generate.py")
    packages = Path(output(sys.executable, generator, "prepare"))
    files = [*wheels(directory / "wheels", packages / "locks" / f"{SYSTEM}.json")]
    seed(files)
    named = {SYSTEM: [{"name": path.name, "sha256": sha256(path)} for path in files]}
    own = own_wheel(directory)
    (directory / "wheels.json").write_text(json.dumps(named, indent=1) + "\n")
    server = ROOT / "nix" / "server"
    expression = directory / "default.nix"
    expression.write_text(SET.format(server=server, packages=packages, own=own.name))
    store = NixStore(nix_environment())  # uses no binary cache: none has these packages
    for attribute in ("nixery", "nixery-packages"):
        store.build(expression, attribute, {}, directory / "roots" / attribute)
    return directory


def wheels(directory: Path, lock: Path) -> Iterator[Path]:
    """Download the wheels of uv.lock for the Python of a package set, if they are missing."""
    python = ".".join(json.loads(lock.read_text())["units"]["python3"]["version"].split(".")[:2])
    extras = chosen_extras()
    wanted = hashlib.sha256((ROOT / "uv.lock").read_bytes() + repr((python, extras)).encode())
    done = directory / "complete"
    if not done.is_file() or done.read_text() != wanted.hexdigest():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        requirements = directory / "requirements.txt"
        export = ("export", "--locked", "--no-dev", "--no-emit-project", "--quiet", *extras)
        requirements.write_text(output(find_uv(), *export, "--project", str(ROOT)))
        # uv has no command that keeps wheels; pip compares them with the hashes of the lock.
        output(
            find_uv(), "tool", "run", "--quiet", "pip", "download", "--quiet", "--require-hashes",
            "--no-deps", "--only-binary=:all:", f"--python-version={python}", "--implementation=cp",
            *(f"--platform={tag}" for tag in PLATFORMS),
            f"--dest={directory}", f"--requirement={requirements}",
        )  # fmt: skip
        done.write_text(wanted.hexdigest())
    yield from sorted(directory.glob("*.whl"))


def chosen_extras() -> list[str]:
    """Return options of uv for the optional dependencies that EXTRAS lists."""
    names = os.environ.get("EXTRAS", "").replace(",", " ").split()
    return [f"--extra={name}" for name in names]


def seed(files: Iterable[Path]) -> None:
    """Put the files into the Nix store, at the paths of fixed-output derivations."""
    store = NixStore(nix_environment())
    paths = {flat_path(sha256(file), file.name): file for file in files}
    absent = store.invalid(paths)
    store.add_files(file for path, file in paths.items() if path in absent)


def own_wheel(directory: Path) -> Path:
    """Build the wheel of this tree."""
    for old in directory.glob("nixery-*.whl"):
        old.unlink()
    output(find_uv(), "build", "--quiet", "--wheel", f"--out-dir={directory}", str(ROOT))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return directory / f"nixery-{version}-py3-none-any.whl"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def output(*command: str) -> str:
    environment = {"UV_SYSTEM_CERTS": "1", **os.environ}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(f"server_set: {Path(command[0]).name} failed with status {done.returncode}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
