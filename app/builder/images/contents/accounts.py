"""The accounts, directories and links of an image's services."""

from collections.abc import Mapping, Sequence

from app.builder.images.contents.additions import Additions
from app.builder.images.contents.users import NONROOT_UID, known_users, with_users
from app.builder.images.packing.entry import Directory, Entry, File, Symlink
from app.builder.nix.service import Service, User
from app.builder.nix.store import UnsupportedTree

_PASSWD, _GROUP = b"etc/passwd", b"etc/group"
_ABSENT = Directory(b"")


def service_additions(
    services: Mapping[str, Service], base: Sequence[Entry], *, nonroot: bool
) -> Additions:
    """Return what the services need; ``services`` are by the names of their packages.

    With ``nonroot`` all files belong to that user.  Raises UnsupportedTree if two services, or a
    service and a file of the image, exclude each other.
    """
    if not services:
        return Additions()
    files = {entry.name: entry for entry in base}
    passwd, group = files[_PASSWD], files[_GROUP]
    assert isinstance(passwd, File)
    assert isinstance(group, File)
    users = _users(services, passwd.content.decode())
    added: dict[bytes, Entry] = {}
    for name, service in services.items():
        for entry in _entries(service, users, nonroot=nonroot):
            if entry.name in files or added.get(entry.name, entry) != entry:
                raise UnsupportedTree(f"/{entry.name.decode()} of {name} exists in the image")
            added[entry.name] = entry
    for entry in added.values():
        _check_above(entry.name, {**files, **added})
    lines = "".join(
        f"{u.name}:x:{u.uid}:{u.uid}:{u.name}:{u.home}:/bin/sh\n" for u in users.values()
    )
    groups = "".join(f"{u.name}:x:{u.uid}:\n" for u in users.values())
    return Additions(
        (
            File(_PASSWD, with_users(passwd.content.decode(), lines).encode()),
            File(_GROUP, group.content + groups.encode()),
            *added.values(),
        ),
        {key: value for service in services.values() for key, value in service.environment.items()},
    )


def _check_above(name: bytes, entries: Mapping[bytes, Entry]) -> None:
    while name := name.rpartition(b"/")[0]:
        if not isinstance(entries.get(name, _ABSENT), Directory):
            raise UnsupportedTree(f"/{name.decode()} is not a directory")


def _users(services: Mapping[str, Service], passwd: str) -> dict[str, User]:
    known = known_users(passwd)
    names, numbers = set(known.values()), set(known)
    users: dict[str, User] = {}
    for package, service in services.items():
        for user in service.users:
            if users.get(user.name) == user:
                continue
            if user.name in {*names, *users} or user.uid in numbers:
                raise UnsupportedTree(
                    f"the user {user.name} ({user.uid}) of {package} exists already"
                )
            users[user.name] = user
            numbers.add(user.uid)
        for owner in {service.user, *(item.user for item in service.directories)} - {"root"}:
            if owner not in users:
                raise UnsupportedTree(f"{package} has no user {owner}")
    return users


def _entries(service: Service, users: Mapping[str, User], *, nonroot: bool) -> list[Entry]:
    entries: list[Entry] = []
    for item in service.directories:
        owner = users[item.user].uid if item.user in users else 0
        uid = NONROOT_UID if nonroot else owner
        entries.append(Directory(item.path[1:].encode(), mode=int(item.mode, 8), uid=uid, gid=uid))
    for place, target in service.links.items():
        entries.append(Symlink(place[1:].encode(), target.encode()))
    return entries
