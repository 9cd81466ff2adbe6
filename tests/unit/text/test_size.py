"""Numbers of bytes for people."""

import pytest

from app.text.size import readable_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (123_456_789, "123 MB"),
        (2 * 10**9, "2.00 GB"),
        (10**16, "10000 TB"),
    ],
)
def test_sizes_have_three_digits(size: int, text: str) -> None:
    assert readable_size(size) == text
