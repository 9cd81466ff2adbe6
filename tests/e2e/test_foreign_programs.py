"""Programs that were made for another distribution run where the image's name asks for it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.clients import Docker, pull
from tests.e2e.server import Server

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
/outside/ls /outside/lib
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
    assert output[:3] == ["C 1024 libz", "C++ exception", "cat"]
    assert output[3 : 3 + len(names)] == names
    checked = output[3 + len(names) :]
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
