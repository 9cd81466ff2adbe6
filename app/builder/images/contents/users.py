"""The users of every image, and their home directories."""

import re
from collections.abc import Collection
from itertools import chain

from app.builder.images.packing.entry import Directory

NONROOT_UID = 65532
NONROOT_HOME = "/home/nonroot"

# Runtimes take HOME from here unless the image sets it.  1000 and 1001 are the first users of
# most machines, and so what `--user $(id -u)` passes.
_NAMED = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "user:x:1000:1000:user:/home/user:/bin/sh\n"
    "user1001:x:1001:1001:user1001:/home/user1001:/bin/sh\n"
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/tmp:/bin/false\n"  # plain: ok
)

# Ids that platforms and users choose, and that would have neither a name nor a home.  The C library
# reads the lines in turn: the commonest ids first, and not too many of them (docs/decisions/user-ids.md).
_CHOSEN: tuple[Collection[int], ...] = (
    # The first users of macOS; guides to hardening; the first ids of OpenShift's projects.
    (501, 10000, 12345, 65533),
    range(1002, 2050),
    range(10001, 10100),
    range(1_000_000_000, 1_005_000_000, 10_000),
    # Agents and services of machines, as `--user $(id -u)` passes them.  Package scripts that add
    # system users find places between these.
    (33, 65, 70, 82, *range(100, 140), 185, 405, 472, 499, 500, *range(502, 511), 911),
    range(980, 1000),
    # Round numbers, patterns, and the last ids of 16 bits.
    (*range(11000, 60000, 1000), 11111, 22222, 33333, 44444, 55555, 31337, 42424, 54321, 54322),
    (20001, 50001, 61000, 64198, 65530, 65531, 65535, 66666, 77777, 88888, 99999),
    (100000, 100001, 123456, 200000, 999999, 1000000),
    # Programs that add users search from 1000 upwards, and find the gap.
    range(2100, 10000),
)
# Other users have another group or home.  All users can write to /tmp, also in containers with a
# read-only root.  Runtimes give group 0 to an ID without an entry.
_END = ":0::/tmp:/bin/sh\n"
_NUMBERED = re.compile("user([1-9][0-9]{0,9})")


def _line(uid: int) -> str:
    """Return the line of a chosen id."""
    return f"user{uid}:x:{uid}{_END}"


# The lines of all chosen ids, which have most of the file's 400 kB.
_CHOSEN_LINES = "".join(map(_line, dict.fromkeys(chain(*_CHOSEN))))
USERS = _NAMED + _CHOSEN_LINES

GROUPS = "root:x:0:\ntty:x:5:\nuser:x:1000:\nuser1001:x:1001:\nnonroot:x:65532:\nnogroup:x:65534:\n"

# With `nonroot` the home is that of any user id that a platform chooses, in whatever group; and
# Docker gives a tmpfs the mode of the directory below it, but not its owner.  The sticky bit keeps
# a user's files from others.
HOMES = (
    Directory(b"home/nonroot", mode=0o1777, uid=NONROOT_UID),
    Directory(b"home/user", mode=0o1777, uid=1000),
    Directory(b"home/user1001", mode=0o1777, uid=1001),
)


def with_users(passwd: str, lines: str) -> str:
    """Return the file with more users, who take the places of chosen ids."""
    taken = {
        _line(uid)
        for name, own in map(_name_and_id, lines.splitlines())
        for uid in (own, *_id_in(name))
        if any(uid in ids for ids in _CHOSEN)
    }
    for line in taken:
        # The first line of the file is root's.
        passwd = passwd.replace("\n" + line, "\n")
    return passwd + lines


def known_users(passwd: str) -> dict[int, str]:
    """Return names by id, without those of chosen ids."""
    users = {}
    for line in passwd.replace(_CHOSEN_LINES, "").splitlines(keepends=True):
        if line.endswith(_END):
            continue
        name, uid = _name_and_id(line)
        users[uid] = name
    return users


def _id_in(name: str) -> tuple[int, ...]:
    """Return the id of the chosen user with this name."""
    found = _NUMBERED.fullmatch(name)
    return (int(found[1]),) if found else ()


def _name_and_id(line: str) -> tuple[str, int]:
    name, _, uid, *_ = line.split(":")
    return name, int(uid)
