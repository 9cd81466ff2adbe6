"""What docs/contents.md promises of every image."""

import hashlib

from app.builder.images.contents.base import base_entries
from app.builder.images.contents.config import ENVIRONMENT
from app.builder.images.contents.users import NONROOT_HOME, NONROOT_UID
from app.builder.images.packing.blocks import BlockStream
from app.builder.images.packing.entry import Directory, File, Symlink, archive_order, write_entries

ENTRIES = {entry.name: entry for entry in base_entries()}


def mode(name: bytes) -> int:
    entry = ENTRIES[name]
    assert isinstance(entry, Directory)
    return entry.mode


def text(name: bytes) -> str:
    entry = ENTRIES[name]
    assert isinstance(entry, File)
    return entry.content.decode()


def test_directories_have_exactly_the_modes_programs_expect() -> None:
    assert mode(b".") == 0o755
    assert mode(b"tmp") == mode(b"var/tmp") == 0o1777
    assert mode(b"root") == 0o700
    assert mode(b"home") == mode(b"etc") == 0o755


def test_users_and_groups_have_names() -> None:
    users = {line.split(":")[0]: line.split(":")[2:6] for line in text(b"etc/passwd").splitlines()}
    groups = {line.split(":")[0]: line.split(":")[2] for line in text(b"etc/group").splitlines()}

    assert users["root"] == ["0", "0", "root", "/root"]
    assert users["nonroot"] == [str(NONROOT_UID), str(NONROOT_UID), "nonroot", NONROOT_HOME]
    assert users["nobody"][0] == "65534"  # plain: ok
    assert groups["root"] == "0"
    assert all(user[1] in groups.values() for user in users.values())
    assert len({user[0] for user in users.values()}) == len(users)
    # Ids that users and platforms choose.
    for uid in ("33", "501", "999", "1234", "4711", "9999", "10001", "54321", "1000680000"):
        assert users[f"user{uid}"] == [uid, "0", "", "/tmp"]


def test_programs_that_add_users_find_free_ids() -> None:
    ids = {int(line.split(":")[2]) for line in text(b"etc/passwd").splitlines()}

    # adduser takes the first from 1000 on, and of system users from 100 on; useradd the one after
    # the last, and of system users the one before the first of these.
    assert min(set(range(1000, 60000)) - ids) == 2050
    assert len(set(range(2000, 2100)) - ids) == 50
    assert len(set(range(100, 999)) - ids) > 800
    assert max(ids & set(range(1000, 60001))) < 60000


def test_names_are_looked_up_in_files_and_hosts_in_dns() -> None:
    assert "hosts:     files dns\n" in text(b"etc/nsswitch.conf")


def test_os_release_has_what_its_readers_need() -> None:
    names = {line.split("=")[0] for line in text(b"usr/lib/os-release").splitlines()}

    assert names >= {"ID", "NAME", "VERSION", "VERSION_ID", "PRETTY_NAME", "HOME_URL"}


def test_each_home_belongs_to_its_user_and_can_be_written_by_all() -> None:
    assert ENTRIES[b"home/nonroot"] == Directory(b"home/nonroot", 0o1777, NONROOT_UID, 0)
    assert ENTRIES[b"home/user"] == Directory(b"home/user", 0o1777, 1000, 0)


def test_every_directory_of_path_exists() -> None:
    paths = ENVIRONMENT["PATH"]

    assert [mode(path[1:].encode()) for path in paths.split(":")] == [0o755] * 6
    assert paths.startswith("/usr/local/bin:")


def test_links_are_relative() -> None:
    links = [entry for entry in ENTRIES.values() if isinstance(entry, Symlink)]

    assert links
    assert not any(link.target.startswith(b"/") for link in links)


def test_the_files_always_have_the_same_bytes() -> None:
    complete = archive_order(base_entries())

    assert len(complete) == len(base_entries())
    # A change of this digest changes the top layer of every image.
    digest = hashlib.sha256()

    def deliver(buffer: bytearray, filled: int) -> bytearray:
        digest.update(buffer[:filled])
        return buffer

    stream = BlockStream(bytearray(1 << 16), deliver)
    write_entries(stream, complete)
    stream.flush()
    assert digest.hexdigest().startswith("74f7092e2cdccf2bfea458fd")
