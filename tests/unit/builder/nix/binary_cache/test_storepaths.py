import lzma
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.binary_cache.storepaths import StorePathsInvalid, read_store_paths
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.system.test_xz import claiming_window

PATHS = (store_path("a-1"), store_path("b-2"), store_path("a-1"))
TEXT = "".join(f"{path}\n" for path in PATHS).encode()


def test_a_list_keeps_its_order_and_repetitions() -> None:
    assert read_store_paths(TEXT) == PATHS
    assert read_store_paths(TEXT.rstrip()) == PATHS
    assert read_store_paths(TEXT.replace(b"\n", b"\r\n\n")) == PATHS


def test_a_list_may_be_compressed_as_channels_do() -> None:
    assert read_store_paths(lzma.compress(TEXT)) == PATHS


@pytest.mark.slow
@given(st.integers(6, len(lzma.compress(TEXT)) - 1))
def test_a_damaged_list_is_refused(length: int) -> None:
    with pytest.raises(StorePathsInvalid, match="damaged"):
        read_store_paths(lzma.compress(TEXT)[:length])


@pytest.mark.parametrize("compress", [bytes, lzma.compress])
def test_a_long_list_is_read_in_pieces(compress: Callable[[bytes], bytes]) -> None:
    many = tuple(store_path(f"package-{number}") for number in range(5000))

    assert read_store_paths(compress("\n".join(map(str, many)).encode())) == many


def test_a_list_that_takes_much_memory_to_decompress_is_refused() -> None:
    with pytest.raises(StorePathsInvalid, match="damaged: Memory usage limit"):
        read_store_paths(claiming_window(40))


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(StorePathsInvalid, match="line 4 is not a store path"):
        read_store_paths(lzma.compress(TEXT + bytes(50_000_000)))


@pytest.mark.parametrize("line", [b"/etc/passwd", b"\xff", b"/nix/store/" + b"a" * 1000])
def test_an_invalid_line_is_named(line: bytes) -> None:
    with pytest.raises(StorePathsInvalid, match="line 4"):
        read_store_paths(TEXT + line + b"\n")
