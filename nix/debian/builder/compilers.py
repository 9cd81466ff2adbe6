"""A C compiler that finds headers, start files and the loader in the store."""

import re

from nix.debian.builder.prefix import Prefix
from nix.debian.builder.wrappers import shell

COMPILERS = {"gcc": "gcc", "cc": "gcc", "g++": "g++", "c++": "g++"}
ONLY_COMPILING = "-c|-S|-E|-M|-MM"


def adjust_gcc(prefix: Prefix) -> None:
    task = prefix.task
    libc_dev, libc = task.dependencies["libc6-dev"], task.dependencies["glibc"]
    search = (
        f"-B{libc_dev}/lib/ -B{task.dependencies['binutils']}/bin/ "
        f"-idirafter {libc_dev}/include -L{libc_dev}/lib -L{libc}/lib"
    )
    link = f"-Wl,-dynamic-linker={libc}/lib/{task.loader} -Wl,-rpath={libc}/lib"
    programs = task.out / "bin"
    (version,) = (
        found[1]
        for path in programs.iterdir()
        if (found := re.fullmatch(rf"{task.triplet}-gcc-(\d+)", path.name))
    )
    for name, tool in COMPILERS.items():
        write_driver(
            prefix,
            name,
            f'link="{link}"\n'
            f'for word in "$@"; do case $word in {ONLY_COMPILING}) link=;; esac; done\n'
            f'exec {programs}/{task.triplet}-{tool}-{version} {search} $link "$@"\n',
        )
    write_driver(prefix, "cpp", f'exec {programs}/{task.triplet}-cpp-{version} {search} "$@"\n')


def write_driver(prefix: Prefix, name: str, script: str) -> None:
    path = prefix.task.out / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shell(prefix)}\n{script}")
    path.chmod(0o755)
