"""Three servers and one storage through more than befalls them in years: no image is ever wrong.

A pull may fail while something is broken, with a reason; one that succeeds is the image it
always was, to the last byte, and once nothing is broken every pull succeeds.
"""

import queue
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.clients import Skopeo
from tests.e2e.disturbances import Disturbances, small_disk
from tests.e2e.server import Server, ServerFactory
from tests.e2e.test_crash import assert_whole
from tests.e2e.verifying import Checks, Disturbed, VerifyingClient

pytestmark = pytest.mark.e2e

SEED = 20261128
NAMES = (
    "hello", "jq", "hello/jq", "tree-oddities", "single-file", "empty-tree", "many-paths",
    "conflict-one/conflict-two", "conflict-one/hello", "shell/jq", "hello/many-paths", "jq/tree-oddities",
)  # fmt: skip
ROUNDS = 20  # each disturbance twice
PULLS = 10  # of a round, and once more when it is over
CLIENTS = 4
# Each of three servers has to miss a blob before it makes it again, and there may be several.
ATTEMPTS = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "400m") as disk:
        yield disk


class Run:
    """The state of a long run.

    ``disturbed`` counts pulls that failed, by the message.
    """

    def __init__(self, servers: list[Server], pool: ThreadPoolExecutor) -> None:
        self.checks = Checks()
        self.disturbed: Counter[str] = Counter()
        self.last = ""
        self._servers = servers
        self._pool = pool
        self._clients: queue.SimpleQueue[VerifyingClient] = queue.SimpleQueue()
        for _ in range(CLIENTS):
            self._clients.put(VerifyingClient(self.checks))

    def close(self) -> None:
        while not self._clients.empty():
            self._clients.get().close()

    def pull(self, server: Server, name: str) -> str | None:
        """Return the image's digest, or None if the pull failed with a message."""
        client = self._clients.get()
        try:
            return client.pull(server.url, name)
        except Disturbed as disturbed:
            self.disturbed[disturbed.kind] += 1
            self.last = str(disturbed)
            return None
        finally:
            self._clients.put(client)

    def pull_until_whole(self, server: Server, name: str) -> str:
        for _ in range(ATTEMPTS):
            if digest := self.pull(server, name):
                return digest
        raise AssertionError(f"{name} cannot be pulled from a sound server: {self.last}")

    def start(self, pairs: list[tuple[Server, str]]) -> list[Future[str | None]]:
        return [self._pool.submit(self.pull, *pair) for pair in pairs]


@contextmanager
def during(disturbance: Callable[[], Iterator[list[Server]]]) -> Iterator[list[Server]]:
    steps = disturbance()
    try:
        yield next(steps)
    finally:
        for _ in steps:
            pass


def test_hundreds_of_pulls_through_everything_that_can_break(
    salted_packages: Path, disk: Path, new_server: ServerFactory, skopeo: Skopeo
) -> None:
    chosen = random.Random(SEED)
    storage = disk / "storage"
    settings = {"NIXERY_STORAGE_PATH": str(storage), "NIXERY_FAILURE_SECONDS": "0"}
    servers = [new_server(salted_packages, **settings) for _ in range(3)]
    disturbances = Disturbances(chosen, servers, disk, storage).all
    kinds = [kind for _ in range(ROUNDS) for kind in disturbances][:ROUNDS]
    chosen.shuffle(kinds)
    with ThreadPoolExecutor(CLIENTS) as pool:
        run = Run(servers, pool)
        try:
            for number, kind in enumerate(kinds):
                where = f"seed {SEED}, round {number}: {kind}"
                try:
                    one_round(run, chosen, servers, disturbances[kind])
                    pull_with(skopeo, run, servers[number % 3], NAMES[number % len(NAMES)])
                except Exception as error:
                    raise AssertionError(f"{where}: {error}") from error
            # Damage that no request has met is found by the command of docs/operator-guide.md.
            servers[0].command("verify", "--delete")
            for server in servers:
                for name in NAMES:
                    run.pull_until_whole(server, name)
            verified = servers[0].command("verify")
            assert verified.returncode == 0, verified.stdout
            assert_whole(storage)
        finally:
            run.close()
    for server in servers:
        assert "internal error" not in server.complete_log()
        server.stop()
    assert run.checks.pulls >= 300, (SEED, run.disturbed)
    assert set(run.checks.digests) == set(NAMES)


def one_round(
    run: Run,
    chosen: random.Random,
    servers: list[Server],
    disturbance: Callable[[], Iterator[list[Server]]],
) -> None:
    pairs = [(chosen.choice(servers), chosen.choice(NAMES)) for _ in range(PULLS)]
    with during(disturbance) as silent:
        pulls = run.start(pairs)
        # Until those have ended that can, or the disturbance would be over before it begins.
        for pull, (server, _) in zip(pulls, pairs, strict=True):
            if server not in silent:
                pull.result()
                break
    for pull in pulls:
        pull.result()
    # Now all is well again, whatever is left of it in storage.
    whole = [run.pull_until_whole(*pair) for pair in dict.fromkeys(pairs)]
    assert all(whole)


def pull_with(skopeo: Skopeo, run: Run, server: Server, name: str) -> None:
    """A real client hashes as well."""
    run.pull_until_whole(server, name)
    done = skopeo.try_pull(f"{server.address}/{name}:latest")
    assert done.returncode == 0, done.stderr
