"""The list of files with low coverage can only shrink."""

import pytest

from scripts.file_coverage import LIST, compare, format_list, lower, read_list


def test_list_is_formatted() -> None:
    listed = {name: int(percent) for name, percent in read_list(LIST).items()}

    assert LIST.read_text() == format_list(listed)


@pytest.mark.parametrize(
    ("measured", "listed", "finding"),
    [
        ({"a.py": 90.0}, {}, "a.py: 90 % of its lines, at least 95 % before"),
        ({"a.py": 60.0}, {"a.py": 70}, "a.py: 60 % of its lines, at least 70 % before"),
        ({"a.py": 99.0}, {"a.py": 70}, "remove it"),
        ({}, {"a.py": 70}, "does not exist"),
    ],
)
def test_file_covered_less_or_listed_without_need_is_reported(
    measured: dict[str, float], listed: dict[str, float], finding: str
) -> None:
    [found] = compare(measured, listed)

    assert finding in found


def test_unchanged_coverage_is_not_reported() -> None:
    assert list(compare({"a.py": 95.1, "b.py": 70.5}, {"b.py": 70})) == []


def test_list_shrinks_and_never_grows() -> None:
    measured = {"better.py": 80.9, "worse.py": 60.0, "enough.py": 96.0, "new.py": 10.0}
    listed = {"better.py": 70, "worse.py": 70, "enough.py": 90, "gone.py": 50}

    assert lower(measured, listed) == {"better.py": 80, "worse.py": 70}
