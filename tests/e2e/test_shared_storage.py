"""Two servers on one storage, at the same time, and when one of them is killed."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.server import ServerFactory
from tests.e2e.test_crash import assert_whole, wait_for_packing

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
    assert len(list(one.storage.glob("builds/*"))) == len(NAMES)
    assert_whole(one.storage)
    assert list((one.storage / ".staging").iterdir()) == []


def test_a_server_goes_on_with_what_another_left_when_it_was_killed(
    new_server: ServerFactory,
) -> None:
    one = new_server()
    other = new_server(NIXERY_STORAGE_PATH=str(one.storage))
    name = "shell/git/python3"

    def ask() -> None:
        with pytest.raises(httpx.TransportError):
            one.get(f"/v2/{name}/manifests/latest")

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        wait_for_packing(one)
        one.kill()
        asked.result()

    digest = other.digest(name)

    assert_whole(one.storage)
    one.start()
    assert one.digest(name) == digest
