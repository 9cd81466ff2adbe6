"""The one bounded cache: eviction by use, by size and by age."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.system.cache import Cache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_least_recently_used_entry_is_evicted() -> None:
    cache: Cache[str, int] = Cache(2)
    cache["a"], cache["b"] = 1, 2

    assert cache.get("a") == 1
    cache["c"] = 3

    assert list(cache) == ["a", "c"]
    assert cache.get("b") is None
    assert len(cache) == 2


def test_setting_a_key_again_replaces_it_and_marks_it_as_used() -> None:
    cache: Cache[str, int] = Cache(2)
    cache["a"], cache["b"] = 1, 2

    cache["a"] = 3
    cache["c"] = 4

    assert (cache.get("a"), cache.get("b")) == (3, None)


def test_none_is_a_value_that_contains_finds() -> None:
    cache: Cache[str, None] = Cache(2)

    cache["a"] = None

    assert "a" in cache
    assert "b" not in cache
    assert list(cache) == ["a"]


def test_the_sum_of_sizes_is_bounded() -> None:
    cache: Cache[str, bytes] = Cache(10, size_of=len)
    for key in "abc":
        cache[key] = b"1234"

    assert list(cache) == ["b", "c"]
    assert cache.size == 8
    cache["c"] = b"12"
    assert cache.size == 6
    assert cache.pop("b") == b"1234"
    assert cache.pop("b") is None
    assert cache.size == 2
    cache.clear()
    assert (cache.size, len(cache)) == (0, 0)


def test_a_value_larger_than_the_limit_is_not_kept() -> None:
    cache: Cache[str, bytes] = Cache(10, size_of=len)

    cache["large"] = bytes(11)

    assert cache.get("large") is None
    assert cache.size == 0


def test_entries_expire_at_their_time() -> None:
    clock = Clock()
    cache: Cache[str, int] = Cache(10, seconds=60, clock=clock)
    cache["a"] = 1
    cache.put("b", 2, seconds=5)

    clock.now = 5
    assert (cache.get("a"), cache.get("b")) == (1, None)
    assert "b" not in cache
    clock.now = 60
    assert list(cache) == []
    assert cache.pop("a") is None
    assert cache.size == 0


@pytest.mark.slow
def test_threads_share_a_cache() -> None:
    cache: Cache[int, int] = Cache(50)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def use(start: int) -> None:
        for number in range(start, start + 2000):
            cache[number % 97] = number
            cache.get(number % 89)
            cache.pop(number % 83)
            assert all(key < 97 for key in cache)

    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(use, range(4)))
    finally:
        sys.setswitchinterval(before)

    assert len(cache) == cache.size <= 50
