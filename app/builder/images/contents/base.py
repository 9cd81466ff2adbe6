"""The files of every image: one layer, with the same bytes in all images.

docs/contents.md promises them to users.
"""

from app.builder.images.packing.entry import ROOT, Directory, Entry, File, Symlink

NONROOT_UID = 65532
NONROOT_HOME = "/home/nonroot"

_USERS = """\
root:x:0:0:root:/root:/bin/sh
nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""

_GROUPS = """\
root:x:0:
tty:x:5:
nonroot:x:65532:
nogroup:x:65534:
"""

_NSSWITCH = """\
passwd:    files
group:     files
shadow:    files
hosts:     files dns
networks:  files
protocols: files
services:  files
"""

_OS_RELEASE = """\
NAME="Nixery"
ID=nixery
ID_LIKE=nixos
PRETTY_NAME="Nixery image"
"""


def base_entries() -> tuple[Entry, ...]:
    return (
        Directory(ROOT),
        Directory(b"etc"),
        File(b"etc/group", _GROUPS.encode()),
        File(b"etc/nsswitch.conf", _NSSWITCH.encode()),
        File(b"etc/os-release", _OS_RELEASE.encode()),
        File(b"etc/passwd", _USERS.encode()),
        Directory(b"etc/ssl"),
        Directory(b"etc/ssl/certs"),
        # cacert, which every image has, uses one name for its bundle; this is Debian's name.
        Symlink(b"etc/ssl/certs/ca-certificates.crt", b"ca-bundle.crt"),
        Directory(b"home"),
        # For its owner, and for any user of group 0: OpenShift chooses user ids at random.
        Directory(b"home/nonroot", mode=0o775, uid=NONROOT_UID),
        Directory(b"root", mode=0o700),
        Directory(b"run"),
        Directory(b"tmp", mode=0o1777),
        Directory(b"usr"),
        Directory(b"usr/bin"),
        Directory(b"var"),
        Directory(b"var/cache"),
        Directory(b"var/lib"),
        Directory(b"var/log"),
        Symlink(b"var/run", b"../run"),
        Directory(b"var/tmp", mode=0o1777),
    )
