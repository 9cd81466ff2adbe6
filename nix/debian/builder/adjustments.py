"""What single units need beyond the general treatment, by the name their recipe gives."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nix.debian.builder.compilers import adjust_gcc
from nix.debian.builder.elf import read_elf
from nix.debian.builder.elfpatch import change
from nix.debian.builder.prefix import Prefix
from nix.debian.builder.wrappers import Environment, wrap


class ContentMissing(Exception):
    """A file does not hold what an adjustment was to replace; the package has changed."""


def replace_bytes(path: Path, replacements: Iterable[tuple[bytes, bytes]]) -> None:
    """Replaces in place, padding with NUL; nothing moves. Raises ContentMissing."""
    content = path.read_bytes()
    for old, new in replacements:
        if old not in content or len(new) > len(old):
            raise ContentMissing(f"{path.name}: {old!r}")
        content = content.replace(old, new.ljust(len(old), b"\0"))
    path.write_bytes(content)


def adjust_glibc(prefix: Prefix) -> None:
    """Makes the loader look neither in the machine's directories nor in its cache.

    So a missing library path shows on a Debian host as it does in a container. The names keep
    their lengths, which are compiled in. The C library finds there what it loads by itself
    (libgcc_s, for cancelling threads).
    """
    triplet, library = prefix.task.triplet, prefix.task.out / "lib"
    directories = (f"/lib/{triplet}/", f"/usr/lib/{triplet}/", "/lib/", "/usr/lib/")
    dead = (f"/{'-' * (len(directory) - 2)}/" for directory in directories)
    replace_bytes(
        library / prefix.task.loader,
        (
            (
                b"".join(d.encode() + b"\0" for d in directories),
                b"".join(d.encode() + b"\0" for d in dead),
            ),
            (b"/etc/ld.so.cache\0", b"/-/no-so-cache--\0"),
        ),
    )
    libc = library / "libc.so.6"
    elf = read_elf(libc, prefix.task.machine)
    loader = str(library / prefix.task.loader) if elf.interpreter else None
    change(libc, elf, interpreter=loader, runpath=(str(library),))


def adjust_libtinfo(prefix: Prefix) -> None:
    """The built-in list of directories is 47 bytes long; the unit `ti` is named to fit."""
    database = prefix.task.dependencies["terminfo"].encode() + b"\0"
    for path in sorted((prefix.task.out / "lib").glob("libtinfo.so.*")):
        if not path.is_symlink():
            replace_bytes(path, ((b"/etc/terminfo:/lib/terminfo:/usr/share/terminfo\0", database),))


def adjust_terminfo(prefix: Prefix) -> None:
    """Puts the database where libtinfo looks: straight in the unit's root."""
    old, new = prefix.task.out / "lib/terminfo", prefix.task.out / "share/terminfo"
    if old.is_dir():  # its place before Debian 13
        new.parent.mkdir(exist_ok=True)
        old.rename(new)
    for letter in sorted(new.iterdir()):
        if len(letter.name) <= 2:
            (prefix.task.out / letter.name).symlink_to(f"share/terminfo/{letter.name}")


def adjust_cacert(prefix: Prefix) -> None:
    """Puts the certificates into one file, under both names programs know."""
    certificates = prefix.task.out / "etc/ssl/certs"
    shutil.rmtree(prefix.task.out / "bin", ignore_errors=True)
    certificates.mkdir(parents=True, exist_ok=True)
    with (certificates / "ca-bundle.crt").open("wb") as bundle:
        for path in sorted((prefix.task.out / "share/ca-certificates/mozilla").iterdir()):
            bundle.write(path.stem.encode() + b"\n" + path.read_bytes().rstrip(b"\n") + b"\n\n")
    (certificates / "ca-certificates.crt").symlink_to("ca-bundle.crt")


def adjust_python(prefix: Prefix) -> None:
    """Tells OpenSSL, which Python loads, where its modules are."""
    (library,) = (
        path
        for path in (prefix.task.out / "lib").iterdir()
        if re.fullmatch(r"python3\.\d+", path.name)
    )
    modules = next(d.path for d in prefix.closure if d.unit.startswith("libssl"))
    customize = library / "sitecustomize.py"
    customize.unlink(missing_ok=True)  # a link into /etc
    customize.write_text(
        f"import os\nos.environ.setdefault('OPENSSL_MODULES', '{modules}/lib/ossl-modules')\n"
    )


def adjust_perl(prefix: Prefix) -> None:
    """Adds the unit's own modules after the caller's, where built-in directories come too."""
    out = prefix.task.out
    (version,) = (
        path.name
        for path in (out / "share/perl").iterdir()
        if re.fullmatch(r"5\.\d+\.\d+", path.name)
    )
    places = (f"lib/perl/{version}", f"share/perl/{version}", "share/perl5", "lib/perl-base")
    modules = ":".join(str(out / place) for place in places if (out / place).is_dir())
    for name in ("perl", f"perl{version}"):
        if os.path.lexists(out / "bin" / name):
            wrap(prefix, f"bin/{name}", Environment(after=(("PERL5LIB", modules),)))


def adjust_postgresql(prefix: Prefix) -> None:
    """Puts the server's programs, which lie by version, among the others."""
    out = prefix.task.out
    (out / "bin").mkdir(exist_ok=True)
    for program in sorted(out.glob("lib/postgresql/*/bin/*")):
        link = out / "bin" / program.name
        if not os.path.lexists(link):
            link.symlink_to(os.path.relpath(program, out / "bin"))


def adjust_graphviz(prefix: Prefix) -> None:
    """Writes the index of plugins, which lies beside them; the unit's own program makes it."""
    plugins = prefix.task.out / "lib/graphviz"
    (update,) = (prefix.task.out / "bin").glob("libgvc*-config-update")
    subprocess.run([update, "-c"], check=True, env={"GVBINDIR": str(plugins)})


ADJUSTMENTS: Mapping[str, Callable[[Prefix], None]] = {
    "cacert": adjust_cacert,
    "gcc": adjust_gcc,
    "glibc": adjust_glibc,
    "graphviz": adjust_graphviz,
    "libtinfo": adjust_libtinfo,
    "perl": adjust_perl,
    "postgresql": adjust_postgresql,
    "python": adjust_python,
    "terminfo": adjust_terminfo,
}
