"""The files of every image, the same in all images.

docs/contents.md promises them to users.
"""

from functools import cache

from app.builder.images.contents.users import GROUPS, HOMES, USERS
from app.builder.images.packing.entry import ROOT, Directory, Entry, File, Symlink
from app.builder.nix.closure import STORE

_NSSWITCH = """\
passwd:    files
group:     files
shadow:    files
hosts:     files dns
networks:  files
protocols: files
services:  files
"""

# The version is that of the image format, since the file is the same in all images.  The addresses
# are those of the packages; scripts that require every variable to be set find the others empty.
_OS_RELEASE = """\
NAME="Nixery"
ID=nixery
ID_LIKE=nixos
VERSION="3"
VERSION_ID="3"
PRETTY_NAME="Nixery image, format 3"
HOME_URL="https://nixos.org/"
DOCUMENTATION_URL="https://nixos.org/"
SUPPORT_URL=""
BUG_REPORT_URL=""
"""

# Docker's home of a user id that is not in /etc/passwd is /, which only root can write.
_HOME = """\
if [ "${HOME-}" = / ] && [ ! -w / ]; then export HOME=/tmp; fi
"""

# For login shells, as other distributions have it.
_PROFILE = (
    _HOME
    + """\
for script in /etc/profile.d/*.sh; do
  if [ -r "$script" ]; then . "$script"; fi
done
unset script
"""
)

# What installers and programs expect; 0755.
_DIRECTORIES = """
bin boot dev etc etc/default etc/opt etc/pki etc/pki/tls etc/pki/tls/certs etc/profile.d etc/skel
etc/ssl etc/ssl/certs home lib media mnt opt proc run sbin srv sys usr usr/bin usr/include usr/lib
usr/lib/ssl usr/libexec usr/local usr/local/bin usr/local/etc usr/local/include usr/local/lib
usr/local/libexec usr/local/sbin usr/local/share usr/local/src usr/sbin usr/share usr/src
var var/cache var/lib var/local var/log var/mail var/opt var/run var/spool
"""
_STICKY = ("run/lock", "tmp", "var/lock", "var/tmp")

_CERTIFICATES = b"ssl/certs/ca-certificates.crt"
_LINKS = (
    # Programs look below /usr/share and /usr/libexec for what Nix packages have in these.
    Symlink(b"libexec", b"usr/libexec"),
    Symlink(b"share", b"usr/share"),
    # A client that mounts the root of an image at /nix finds the store paths.
    Symlink(b"store", STORE.removeprefix("/").encode()),
    # Names of the certificates in other distributions, and OpenSSL's own.
    Symlink(b"etc/pki/tls/certs/ca-bundle.crt", b"../../../" + _CERTIFICATES),
    Symlink(b"etc/ssl/cert.pem", b"certs/ca-certificates.crt"),
    Symlink(b"usr/lib/ssl/cert.pem", b"../../../etc/" + _CERTIFICATES),
    Symlink(b"usr/lib/ssl/certs", b"../../../etc/ssl/certs"),
    Symlink(b"etc/os-release", b"../usr/lib/os-release"),
)


@cache
def base_entries() -> tuple[Entry, ...]:
    entries: list[Entry] = [
        Directory(ROOT),
        *(Directory(name.encode()) for name in _DIRECTORIES.split()),
        *(Directory(name.encode(), mode=0o1777) for name in _STICKY),
        Directory(b"root", mode=0o700),
        *HOMES,
        *_LINKS,
        # An interactive bash whose home is / reads it.
        File(b".bashrc", _HOME.encode()),
        File(b"etc/group", GROUPS.encode()),
        File(b"etc/nsswitch.conf", _NSSWITCH.encode()),
        File(b"etc/passwd", USERS.encode()),
        File(b"etc/profile", _PROFILE.encode()),
        File(b"usr/lib/os-release", _OS_RELEASE.encode()),
    ]
    return tuple(sorted(entries, key=lambda entry: entry.name))
