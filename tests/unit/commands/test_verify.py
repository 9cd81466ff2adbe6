"""``nixery verify`` on every storage backend."""

import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest

from app.builder.builds.catalogue import TAGS
from app.commands import cli
from app.commands.record_kinds import RECORD_KINDS
from app.commands.verifying import Reading, Verifier
from app.oci import Digest
from app.storage import keys
from app.storage.base import Storage
from app.storage.filesystem import FilesystemStorage
from app.storage.gcs.bucket import GcsStorage
from app.storage.memory import MemoryStorage
from app.storage.records.envelope import head_of, seal
from app.storage.records.kind import Kind
from app.system.workers import Workers
from tests.fakes.gcs import BUCKET, FakeGcs
from tests.mounting import mounted

BODIES = tuple(f"body {n} ".encode() * 10_000 * n for n in range(12))
MANIFEST = b'{"schemaVersion":2}'
SAME_SIZE, CUT, EMPTIED = (keys.blob(Digest.of(BODIES[n])) for n in (3, 5, 7))
WRONG_MANIFEST = keys.manifest(Digest.of(MANIFEST))
NAME = TAGS.key(name="git", tag="latest")
OTHER_NAME = TAGS.key(name="jq", tag="latest")
RECORD = seal(head_of("tags", TAGS.format, NAME, ()), b'["git","latest"]')
DAMAGE = {
    SAME_SIZE: b"Body 3 " + BODIES[3][7:],
    CUT: BODIES[5][:1000],
    EMPTIED: b"",
    WRONG_MANIFEST: MANIFEST.replace(b"2", b"1"),
}


@pytest.fixture(scope="module")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    with FakeGcs.served(tmp_path_factory.mktemp("gcs")) as fake:
        yield fake


@pytest.fixture(params=["memory", "filesystem", pytest.param("gcs", marks=pytest.mark.slow)])
async def storage(
    request: pytest.FixtureRequest, tmp_path: Path, fake_gcs: FakeGcs
) -> AsyncIterator[Storage]:
    backend: Storage
    match request.param:
        case "memory":
            backend = MemoryStorage()
        case "filesystem":
            backend = FilesystemStorage(tmp_path / "store")
        case _:
            fake_gcs.reset()
            backend = GcsStorage(bucket=BUCKET, spool_directory=tmp_path / "spool")
    await backend.start()
    await fill(backend)
    yield backend
    await backend.close()


async def fill(storage: Storage) -> None:
    for body in BODIES:
        await storage.write(keys.blob(Digest.of(body)), body)
    await storage.write(keys.manifest(Digest.of(MANIFEST)), MANIFEST)
    await storage.write(keys.record("tags", NAME), RECORD)
    await storage.write(keys.record("other", Digest.of(b"key")), b"stray")
    await storage.write("blobs/sha256/stray", b"stray")


async def damage(storage: Storage) -> None:
    for key, body in DAMAGE.items():
        await storage.write(key, body)


async def read(storage: Storage, *, delete: bool = False) -> tuple[Reading, list[str]]:
    named: list[str] = []
    counts: list[int] = []
    verifier = Verifier(
        storage=storage,
        workers=Workers(3),
        delete=delete,
        name=named.append,
        report=lambda reading: counts.append(reading.objects),
    )
    reading = await verifier.verify()
    assert counts[-1] == reading.objects
    return reading, sorted(named)


async def test_intact_objects_are_counted_and_not_printed(storage: Storage) -> None:
    reading, named = await read(storage)

    assert named == []
    size = sum(map(len, BODIES)) + len(MANIFEST) + len(RECORD)
    assert reading == Reading(wanted=14, objects=14, size=size, damaged=0, unread=0)


async def test_damaged_objects_are_printed_and_kept(storage: Storage) -> None:
    await damage(storage)

    reading, named = await read(storage)

    assert (reading.objects, reading.damaged) == (14, 4)
    assert named == sorted(
        f"{key}: damaged, its {len(body):,} bytes have the digest {Digest.of(body)}"
        for key, body in DAMAGE.items()
    )
    assert [await storage.read(key) for key in DAMAGE] == list(DAMAGE.values())


@pytest.mark.slow
async def test_delete_removes_damaged_objects_only(storage: Storage) -> None:
    await damage(storage)
    before = set(await storage.keys(""))

    reading, named = await read(storage, delete=True)

    assert reading.damaged == 4
    assert all(line.endswith(", deleted") for line in named)
    assert before - set(await storage.keys("")) == set(DAMAGE)
    assert await read(storage) == (
        Reading(10, 10, reading.size - sum(map(len, DAMAGE.values()))),
        [],
    )


class Changing(MemoryStorage):
    """Call a function right after an object was opened for the ``nth`` time."""

    def __init__(self, key: str, happen: Callable[[dict[str, bytes]], object], nth: int) -> None:
        super().__init__()
        self._key, self._happen, self._nth = key, happen, nth

    def open(self, key: str) -> BinaryIO:
        if key == self._key:
            self._nth -= 1
            if self._nth == 0:
                self._happen(self._objects)
        return super().open(key)


async def test_object_that_a_server_created_again_is_not_deleted() -> None:
    storage = Changing(CUT, lambda objects: objects.update({CUT: BODIES[5]}), nth=2)
    await fill(storage)
    await storage.write(CUT, DAMAGE[CUT])

    reading, named = await read(storage, delete=True)

    assert (reading.objects, reading.damaged, named) == (14, 0, [])
    assert await storage.read(CUT) == BODIES[5]


async def test_object_removed_during_the_run_is_not_an_error() -> None:
    storage = Changing(CUT, lambda objects: objects.pop(CUT), nth=1)
    await fill(storage)

    reading, named = await read(storage)

    assert (reading.wanted, reading.objects, reading.damaged, named) == (14, 13, 0, [])


@pytest.mark.slow
async def test_unreadable_file_is_damaged(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.start()
    await fill(storage)
    record = keys.record("tags", NAME)
    for key, target in ((CUT, Path("/proc/self/mem")), (EMPTIED, tmp_path / EMPTIED)):
        (tmp_path / key).unlink()
        (tmp_path / key).symlink_to(target)
    (tmp_path / record).unlink()
    os.mkfifo(tmp_path / record)

    reading, named = await read(storage, delete=True)

    assert (reading.objects, reading.damaged, reading.unread) == (14, 3, 0)
    assert named == sorted(
        f"{key}: damaged, not a readable file, deleted" for key in (CUT, EMPTIED, record)
    )
    assert not any(os.path.lexists(tmp_path / key) for key in (CUT, EMPTIED, record))


@pytest.mark.slow
async def test_damaged_record_is_printed_and_deleted(storage: Storage) -> None:
    wrong = {
        keys.record("tags", OTHER_NAME): (
            RECORD,
            f"it is the record tags/{NAME.hex}",
        ),
        keys.record("paths", NAME): (RECORD, f"it is the record tags/{NAME.hex}"),
        keys.record("layers", NAME): (b"{}", "it has no valid first line"),
        keys.record("builds", NAME): (
            RECORD.replace(b"git", b"gut"),
            "its checksum does not match",
        ),
        keys.record("revisions", NAME): (
            seal(head_of("revisions", RECORD_KINDS["revisions"].format, NAME, ()), b"{}"),
            "its value is not one of its kind",
        ),
    }
    for key, (body, _) in wrong.items():
        await storage.write(key, body)

    reading, named = await read(storage)
    _, deleted = await read(storage, delete=True)

    assert (reading.objects, reading.damaged) == (19, 5)
    assert named == sorted(f"{key}: damaged, {reason}" for key, (_, reason) in wrong.items())
    assert deleted == [f"{line}, deleted" for line in named]
    assert (await read(storage))[1] == []
    assert await storage.read(keys.record("tags", NAME)) == RECORD


EARLIER = {
    keys.record("paths", NAME): seal(head_of("paths", 0, NAME, ()), b"{}"),
    keys.record("layers", NAME): b'{"digest":"sha256:1","size":3}',
    keys.record("names", NAME): b'{"name":"git","tag":"latest"}',
    keys.record("packages", NAME): RECORD,
}


@pytest.mark.slow
async def test_records_of_earlier_versions_are_counted_and_deleted_on_request(
    storage: Storage,
) -> None:
    for key, body in EARLIER.items():
        await storage.write(key, body)

    reading, named = await read(storage)
    assert (reading.earlier, reading.damaged, named) == (4, 0, [])
    assert EARLIER.keys() <= set(await storage.keys(""))

    reading, named = await read(storage, delete=True)
    assert (reading.earlier, reading.damaged, named) == (4, 0, [])
    assert EARLIER.keys().isdisjoint(await storage.keys(""))
    assert (await read(storage))[0].objects == 14


@pytest.mark.slow
async def test_record_of_a_later_version_is_kept(storage: Storage) -> None:
    key, body = keys.record("paths", NAME), seal(head_of("paths", 99, NAME, ()), b"{}")
    await storage.write(key, body)

    reading, named = await read(storage, delete=True)

    assert (reading.earlier, reading.damaged, named) == (0, 0, [])
    assert await storage.read(key) == body


@pytest.mark.slow
def test_every_kind_of_record_is_verified() -> None:
    declared = {
        name
        for module in Path("app").rglob("*.py")
        for name in re.findall(r'\bKind\(\s*name="([a-z-]+)"', module.read_text())
    }

    assert declared == RECORD_KINDS.keys()
    assert all(isinstance(kind, Kind) for kind in RECORD_KINDS.values())


@pytest.mark.slow
def test_read_only_disk_can_be_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "state"))
    store(lambda: FilesystemStorage(tmp_path / "store"), damaged=True)

    with mounted(("-o", "bind,ro", str(tmp_path / "store")), tmp_path / "read-only") as directory:
        monkeypatch.setenv("NIXERY_STORAGE_PATH", str(directory))
        assert [run("verify"), run("verify", "--delete")] == [1, 1]

    out, err = capfd.readouterr()
    assert out.endswith("4 damaged\n")
    assert err.startswith(
        f"nixery verify: cannot store files in {directory} (Read-only file system)"
    )


def run(*words: str) -> int:
    def serve() -> None:
        raise AssertionError("a subcommand does not serve")

    return cli.run(words, serve=serve)


@pytest.fixture(params=["filesystem", "gcs"])
def configured(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fake_gcs: FakeGcs,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], Storage]:
    monkeypatch.setenv("NIXERY_STORAGE", request.param)
    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "state"))
    monkeypatch.setenv("NIXERY_STORAGE_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("GCS_BUCKET", BUCKET)
    fake_gcs.reset()
    if request.param == "gcs":
        return lambda: GcsStorage(bucket=BUCKET, spool_directory=tmp_path / "spool")
    return lambda: FilesystemStorage(tmp_path / "store")


def store(new: Callable[[], Storage], *, damaged: bool) -> None:
    async def fill_it() -> None:
        storage = new()
        await storage.start()
        await fill(storage)
        if damaged:
            await damage(storage)
        await storage.close()

    anyio.run(fill_it)


@pytest.mark.slow
def test_command_prints_counts_and_exits_with_0_without_damage(
    configured: Callable[[], Storage], capfd: pytest.CaptureFixture[str]
) -> None:
    store(configured, damaged=False)

    assert run("verify") == 0

    size = sum(map(len, BODIES)) + len(MANIFEST) + len(RECORD)
    assert re.fullmatch(
        rf"14 objects with {size:,} bytes read in \d+\.\d s: 0 damaged\n", capfd.readouterr().out
    )


@pytest.mark.slow
def test_command_exits_with_1_until_damaged_objects_are_deleted(
    configured: Callable[[], Storage], capfd: pytest.CaptureFixture[str]
) -> None:
    store(configured, damaged=True)

    assert [run("verify"), run("verify", "--delete"), run("verify")] == [1, 1, 0]

    lines = capfd.readouterr().out.splitlines()
    assert [len(re.findall(key, "\n".join(lines))) for key in DAMAGE] == [2, 2, 2, 2]
    assert [line.partition(": ")[2] for line in lines if " objects " in line] == [
        "4 damaged",
        "4 damaged",
        "0 damaged",
    ]


@pytest.mark.slow
def test_json_has_a_line_for_each_damaged_object_and_one_of_counts(
    configured: Callable[[], Storage], capfd: pytest.CaptureFixture[str]
) -> None:
    store(configured, damaged=True)

    assert run("verify", "--json") == 1

    *found, counts = map(json.loads, capfd.readouterr().out.splitlines())
    assert {one["object"] for one in found} == set(DAMAGE)
    assert all(one["problem"] for one in found)
    assert counts["damaged"] == len(DAMAGE)


@pytest.mark.slow
def test_records_of_earlier_versions_are_not_a_failure(
    configured: Callable[[], Storage], capfd: pytest.CaptureFixture[str]
) -> None:
    async def fill_it() -> None:
        storage = configured()
        await storage.start()
        for key, body in EARLIER.items():
            await storage.write(key, body)
        await storage.close()

    anyio.run(fill_it)

    assert [run("verify"), run("verify", "--delete"), run("verify")] == [0, 0, 0]

    ends = [line.partition(" s: ")[2] for line in capfd.readouterr().out.splitlines()]
    assert ends == [
        "0 damaged, 4 records of an earlier version, unused",
        "0 damaged, 4 records of an earlier version, deleted",
        "0 damaged",
    ]


@pytest.mark.usefixtures("fake_gcs")
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"NIXERY_STORAGE": "memory"},
            "storage in memory cannot be verified: it ends with its server",
        ),
        (
            {"NIXERY_STORAGE_PATH": "/nowhere/storage"},
            "storage /nowhere/storage does not exist (see NIXERY_STORAGE_PATH)",
        ),
        ({"NIXERY_PROT": "1"}, "unknown setting: NIXERY_PROT; see docs/configuration.md"),
        ({"NIXERY_STORAGE": "gcs", "GCS_BUCKET": "other"}, "bucket other does not exist"),
    ],
)
def test_missing_storage_is_an_error(
    variables: dict[str, str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "state"))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)

    assert run("verify") == 1

    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"nixery verify: {sentence}\n"
    assert not Path("/nowhere").exists()


@pytest.fixture
def with_interrupts() -> Iterator[None]:
    """A shell ignores SIGINT for tests that run in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("with_interrupts")
def test_interrupted_command_keeps_the_printed_findings(
    configured: Callable[[], Storage],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    store(configured, damaged=True)

    def interrupt(*_: object) -> None:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys.stdout, "flush", interrupt)

    assert run("verify") == 130

    out, err = capfd.readouterr()
    assert ": damaged, " in out
    assert " objects with " not in out
    assert err.endswith("stopped; the objects printed so far are damaged\n")
