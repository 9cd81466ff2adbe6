from app.builder.nix.binary_cache.narinfo import NarInfo
from app.builder.nix.binary_cache.popcount import count_references, popularity_json
from tests.unit.builder.images.layering.closures import store_path

LIBC, ZLIB, GIT = store_path("glibc-2.35-224"), store_path("zlib-1.2.13"), store_path("git-2.39")
GIT_INFO = NarInfo(GIT, 1, (LIBC, GIT, ZLIB))
ZLIB_INFO = NarInfo(ZLIB, 1, (LIBC, ZLIB))


def test_references_are_counted_by_name_and_to_oneself_too() -> None:
    assert count_references([GIT_INFO, ZLIB_INFO]) == {
        "glibc-2.35-224": 2,
        "zlib-1.2.13": 2,
        "git-2.39": 1,
    }


def test_a_path_listed_twice_counts_twice() -> None:
    assert count_references([GIT_INFO, GIT_INFO])["git-2.39"] == 2


def test_two_paths_of_one_name_count_as_one_package() -> None:
    other = store_path("glibc-2.35-224", "another build")

    counts = count_references([NarInfo(GIT, 1, (LIBC,)), NarInfo(ZLIB, 1, (other,))])

    assert counts == {"glibc-2.35-224": 2}


def test_the_file_is_byte_for_byte_as_nixery_writes_it() -> None:
    counts = {"zlib-1.2.13": 2, "glibc-2.35-224": 300, "git-2.39": 1}

    assert popularity_json(counts) == b'{"glibc-2.35-224":300,"zlib-1.2.13":2}'
