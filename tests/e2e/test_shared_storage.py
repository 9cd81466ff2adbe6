"""Two servers on one storage, at the same time, and when one of them is killed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.server import ServerFactory
from tests.e2e.test_crash import NAME, assert_whole, killed_while_it_packs

pytestmark = pytest.mark.e2e

NAMES = ("shell/git", "jq/curl", "shell/jq", "python3")


def test_two_servers_that_build_the_same_at_once_give_the_same_digest(
    new_server: ServerFactory,
) -> None:
    one = new_server(NIXERY_WORKERS="1")
    other = new_server(NIXERY_WORKERS="4", NIXERY_STORAGE_PATH=str(one.storage))

    with ThreadPoolExecutor(2 * len(NAMES)) as pool:
        asked = [(server, name) for name in NAMES for server in (one, other)]
        digests = list(pool.map(lambda question: question[0].digest(question[1]), asked))

    assert digests[::2] == digests[1::2]
    for server in (one, other):
        server.stop()  # it waits for what is being written
    assert len(list(one.storage.glob("builds/*"))) == len(NAMES)
    assert_whole(one.storage)
    assert list((one.storage / ".staging").iterdir()) == []


def test_a_server_continues_with_what_a_killed_one_left(
    new_server: ServerFactory,
) -> None:
    one = killed_while_it_packs(new_server)
    other = new_server(NIXERY_STORAGE_PATH=str(one.storage))

    digest = other.digest(NAME)

    assert_whole(one.storage)
    one.start()
    assert one.digest(NAME) == digest
