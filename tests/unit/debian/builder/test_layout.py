import pytest

from nix.debian.builder.layout import Layout

LAYOUT = Layout("x86_64-linux-gnu")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("./usr/bin/git", "bin/git"),
        ("/bin/sh", "bin/sh"),
        ("usr/sbin/nginx", "bin/nginx"),
        ("usr/games/sl", "bin/sl"),
        ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-x86-64.so.2"),
        ("usr/lib/x86_64-linux-gnu/libz.so.1", "lib/libz.so.1"),
        ("lib/x86_64-linux-gnu", "lib"),
        ("usr/lib/x86_64-linux-gnux/libz.so.1", "lib/x86_64-linux-gnux/libz.so.1"),
        ("usr/lib/aarch64-linux-gnu/libz.so.1", "lib/aarch64-linux-gnu/libz.so.1"),
        ("usr/include/x86_64-linux-gnu/bits/types.h", "include/bits/types.h"),
        ("usr/share/x86_64-linux-gnu/data", "share/x86_64-linux-gnu/data"),
        ("./etc/ssl/openssl.cnf", "etc/ssl/openssl.cnf"),
        ("usr/share/doc/git/copyright", "share/doc/git/copyright"),
        ("usr/bin/../lib/git-core/git", "lib/git-core/git"),
        ("opt/x", "opt/x"),
    ],
)
def test_directories_are_merged(path: str, place: str) -> None:
    assert LAYOUT.place(path) == place


@pytest.mark.parametrize(
    "path",
    ["./", "/", "usr", "./usr/", "var/lib/x", "usr/share/doc/git/README", "usr/share/lintian/x",
     "etc/init.d/nginx", "etc/cron.daily/x", "lib/systemd/system/nginx.service", "run"],
)  # fmt: skip
def test_what_no_program_opens_is_left_out(path: str) -> None:
    assert LAYOUT.place(path) is None
