"""Cached revisions of tags: until they expire, whatever else is requested."""

from app.builder.sources.revision import Revision
from app.builder.sources.tag_cache import TagCache
from tests.unit.builder.assembled import Clock


def revision(pin: str, *, moves: bool) -> Revision:
    return Revision("set", pin, date=None, moves=moves)


def test_an_expired_entry_only_shows_that_the_tag_was_resolved() -> None:
    clock = Clock()
    cache = TagCache(clock)
    cache.write("latest", revision("commit:1", moves=True), seconds=60)

    clock.now = 59.5
    assert cache.read("latest") == revision("commit:1", moves=True)
    clock.now = 60
    assert cache.read("latest") is None
    assert "latest" in cache
    assert "other" not in cache


def test_many_other_tags_do_not_evict_one_that_moves() -> None:
    cache = TagCache(Clock())
    cache.write("latest", revision("commit:1", moves=True), seconds=60)
    for number in range(5000):
        cache.write(f"t{number}", revision(f"commit:{number}", moves=False), seconds=60)

    assert cache.read("latest") is not None
    assert cache.read("t0") is None
    assert cache.read("t4999") is not None


def test_a_later_result_replaces_the_earlier_one() -> None:
    cache = TagCache(Clock())
    cache.write("latest", revision("commit:1", moves=True), seconds=60)
    cache.write("latest", revision("commit:2", moves=False), seconds=60)

    assert cache.read("latest") == revision("commit:2", moves=False)

    cache.clear()
    assert cache.read("latest") is None
    assert "latest" not in cache
