"""What services add to an image's files."""

import pytest

from app.builder.images.contents.accounts import service_additions
from app.builder.images.contents.base import base_entries
from app.builder.images.packing.entry import Directory, File, Symlink
from app.builder.nix.service import Service, StateDirectory, User
from app.builder.nix.store import UnsupportedTree

WEB = User(name="web", uid=300, home="/var/www")
SERVICE = Service(
    users=(WEB,),
    directories=(StateDirectory(path="/var/lib/web", user="web", mode="0750"),),
    links={"/var/log/web/access.log": "/dev/stdout"},
    environment={"DATA": "/var/lib/web"},
    user="web",
)


def test_accounts_are_added_to_those_of_the_image() -> None:
    base = {entry.name: entry for entry in base_entries()}

    added = service_additions({"web": SERVICE}, base_entries(), nonroot=False)

    entries = {entry.name: entry for entry in added.entries}
    for name, line in (
        (b"etc/passwd", b"web:x:300:300:web:/var/www:/bin/sh\n"),
        (b"etc/group", b"web:x:300:\n"),
    ):
        before = base[name]
        assert isinstance(before, File)
        assert entries[name] == File(name, before.content + line)
    assert entries[b"var/lib/web"] == Directory(b"var/lib/web", mode=0o750, uid=300, gid=300)
    assert entries[b"var/log/web/access.log"] == Symlink(b"var/log/web/access.log", b"/dev/stdout")
    assert added.environment == {"DATA": "/var/lib/web"}


def test_with_nonroot_the_state_is_that_users() -> None:
    added = service_additions({"web": SERVICE}, base_entries(), nonroot=True)

    [state] = [entry for entry in added.entries if entry.name == b"var/lib/web"]
    assert state == Directory(b"var/lib/web", mode=0o750, uid=65532, gid=65532)


def test_two_services_may_have_one_user() -> None:
    added = service_additions(
        {"one": SERVICE, "other": Service(users=(WEB,))}, base_entries(), nonroot=False
    )

    [passwd] = [entry for entry in added.entries if entry.name == b"etc/passwd"]
    assert isinstance(passwd, File)
    assert passwd.content.count(b"web:x:") == 1


def test_users_of_services_take_the_places_of_chosen_ids() -> None:
    one = Service(users=(User(name="one", uid=1500, home="/srv/one"),))
    other = Service(users=(User(name="user2000", uid=400, home="/srv/one"),))

    added = service_additions({"one": one, "other": other}, base_entries(), nonroot=False)

    [passwd] = [entry for entry in added.entries if entry.name == b"etc/passwd"]
    assert isinstance(passwd, File)
    lines = [line.split(":") for line in passwd.content.decode().splitlines()]
    names, ids = [line[0] for line in lines], [line[2] for line in lines]
    assert len(set(names)) == len(names)
    assert len(set(ids)) == len(ids)
    assert lines[-2:] == [
        ["one", "x", "1500", "1500", "one", "/srv/one", "/bin/sh"],
        ["user2000", "x", "400", "400", "user2000", "/srv/one", "/bin/sh"],
    ]


def directory(path: str) -> Service:
    return Service(directories=(StateDirectory(path=path),))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Service(users=(User(name="web", uid=34),)), r"the user web \(34\) of other exists"),
        (Service(users=(User(name="w", uid=300),)), r"the user w \(300\) of other exists"),
        (
            Service(users=(User(name="nonroot", uid=34),)),
            r"the user nonroot \(34\) of other exists",
        ),
        (Service(user="unknown"), "other has no user unknown"),
        (directory("/var/lib/web"), "/var/lib/web of other exists in the image"),
        (directory("/etc/passwd"), "/etc/passwd of other exists in the image"),
        (directory("/etc/passwd/below"), "/etc/passwd is not a directory"),
        (directory("/var/log/web/access.log/below"), "access.log is not a directory"),
    ],
)
def test_services_that_exclude_each_other_are_refused(other: Service, message: str) -> None:
    with pytest.raises(UnsupportedTree, match=message):
        service_additions({"web": SERVICE, "other": other}, base_entries(), nonroot=False)
