import tempfile
from pathlib import Path

import pytest

from nix.debian.builder.adjustments import ContentMissing, replace_bytes
from nix.debian.builder.elf import read_elf
from nix.debian.builder.task import Recipe
from tests.unit.debian.builder.elves import Sample
from tests.unit.debian.builder.units import Store

SEARCHED = b"/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0"
LIST = b"/etc/terminfo:/lib/terminfo:/usr/share/terminfo\0"


def test_bytes_are_replaced_in_place_and_padded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before /long/path\0 after")
    replace_bytes(path, [(b"/long/path\0", b"/short\0")])
    assert path.read_bytes() == b"before /short\0\0\0\0\0 after"


@pytest.mark.parametrize(("old", "new"), [(b"absent", b"x"), (b"here", b"longer than it")])
def test_bytes_that_are_not_there_or_do_not_fit_are_an_error(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    (tmp_path / "file").write_bytes(b"here")
    with pytest.raises(ContentMissing):
        replace_bytes(tmp_path / "file", [(old, new)])


def test_the_loader_forgets_the_machines_directories_and_cache(store: Store) -> None:
    loader = b"\0" + SEARCHED + b"/etc/ld.so.cache\0"
    out = store.unit(
        "glibc",
        {
            "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": loader,
            "lib/x86_64-linux-gnu/libc.so.6": Sample(needed=("ld-linux-x86-64.so.2",)).content(),
        },
        recipe=Recipe(adjust="glibc"),
    )
    adjusted = (out / "lib/ld-linux-x86-64.so.2").read_bytes()
    assert len(adjusted) == len(loader)
    assert b"lib" not in adjusted
    assert b"ld.so.cache" not in adjusted
    libc = read_elf(out / "lib/libc.so.6", 62)
    assert libc.runpath == (f"{out}/lib",)
    assert libc.interpreter == f"{out}/lib/ld-linux-x86-64.so.2"


def test_the_terminal_database_is_where_the_library_looks() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as short:  # the list is 47 bytes long
        store = Store(Path(short))
        database = store.unit(
            "terminfo",
            {"lib/terminfo/x/xterm": b"entry", "lib/terminfo/l/linux": b"entry"},
            recipe=Recipe(adjust="terminfo"),
        )
        out = store.unit(
            "tinfo",
            {
                "lib/x86_64-linux-gnu/libtinfo.so.6.4": b"\0" + LIST,
                "lib/x86_64-linux-gnu/libtinfo.so.6": "libtinfo.so.6.4",
            },
            needs=("terminfo",),
            recipe=Recipe(adjust="libtinfo"),
        )
        assert (database / "x/xterm").read_bytes() == b"entry"
        assert str(database).encode() + b"\0" in (out / "lib/libtinfo.so.6").read_bytes()


def test_certificates_become_one_file_under_both_names(store: Store) -> None:
    out = store.unit(
        "ca",
        {
            "usr/share/ca-certificates/mozilla/B.crt": b"second\n",
            "usr/share/ca-certificates/mozilla/A.crt": b"first\n\n",
            "usr/sbin/update-ca-certificates": b"",
        },
        recipe=Recipe(adjust="cacert"),
    )
    bundle = out / "etc/ssl/certs/ca-bundle.crt"
    assert bundle.read_bytes() == b"A\nfirst\n\nB\nsecond\n\n"
    assert (out / "etc/ssl/certs/ca-certificates.crt").read_bytes() == bundle.read_bytes()
    assert not (out / "bin").exists()


def test_perls_own_modules_come_after_the_callers(store: Store) -> None:
    store.shell()
    out = store.unit(
        "perl",
        {
            "usr/bin/perl": b"perl",
            "usr/share/perl/5.36.0/x.pm": b"",
            "usr/lib/x86_64-linux-gnu/perl-base/y.pm": b"",
        },
        needs=("bash",),
        recipe=Recipe(adjust="perl"),
    )
    own = f"{out}/share/perl/5.36.0:{out}/lib/perl-base"
    assert f'export PERL5LIB="${{PERL5LIB:+$PERL5LIB:}}{own}"' in (out / "bin/perl").read_text()


def test_python_gets_the_directory_of_openssl_modules(store: Store) -> None:
    store.shell()
    ssl = store.unit("libssl3", {"usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so": b""})
    out = store.unit(
        "python3",
        {
            "usr/bin/python3.11": b"",
            "usr/lib/python3.11/sitecustomize.py": "/etc/python3.11/sitecustomize.py",
        },
        needs=("bash", "libssl3"),
        recipe=Recipe(adjust="python"),
    )
    assert f"'{ssl}/lib/ossl-modules'" in (out / "lib/python3.11/sitecustomize.py").read_text()


def test_a_compiler_finds_its_parts_in_the_store(store: Store) -> None:
    store.shell()
    dev = store.unit("libc6-dev", {"usr/include/stdio.h": b""})
    libc = store.unit("glibc", {"usr/lib/libc.so.6": b""})
    binutils = store.unit("binutils", {"usr/bin/ld": b""})
    programs = {f"usr/bin/x86_64-linux-gnu-{tool}-12": b"" for tool in ("gcc", "g++", "cpp")}
    out = store.unit(
        "gcc",
        {**programs, "usr/bin/gcc": "gcc-12"},
        needs=("bash", "binutils", "glibc", "libc6-dev"),
        recipe=Recipe(adjust="gcc"),
    )
    driver = (out / "bin/g++").read_text()
    assert f"exec {out}/bin/x86_64-linux-gnu-g++-12 -B{dev}/lib/ -B{binutils}/bin/" in driver
    assert f"-Wl,-dynamic-linker={libc}/lib/ld-linux-x86-64.so.2" in driver
    assert "-dynamic-linker" not in (out / "bin/cpp").read_text()


def test_a_servers_programs_are_among_the_others(store: Store) -> None:
    out = store.unit(
        "postgresql",
        {"usr/lib/postgresql/15/bin/initdb": b"initdb", "usr/lib/postgresql/15/bin/psql": b""},
        recipe=Recipe(adjust="postgresql"),
    )
    assert (out / "bin/initdb").read_bytes() == b"initdb"
