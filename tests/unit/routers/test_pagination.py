"""Pages, put together, are the list."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routers.pagination import Page

NAMES = st.sets(st.text(alphabet="abz019._-/é", min_size=1, max_size=8)).map(sorted)


@pytest.mark.slow
@given(NAMES, st.integers(min_value=1, max_value=5))
def test_the_links_lead_to_every_name_once_in_order(names: list[str], count: int) -> None:
    collected: list[str] = []
    page = Page(count, "")
    while True:
        part, headers = page.of(names, "/v2/x/tags/list")
        assert len(part) <= count
        collected += part
        if not headers:
            break
        target, _, relation = headers["link"].partition("; ")
        assert relation == 'rel="next"'
        address = urlsplit(target.removeprefix("<").removesuffix(">"))
        assert (address.scheme, address.netloc) == ("", "")
        query = parse_qs(address.query)
        page = Page(int(query["n"][0]), query["last"][0])

    assert collected == names


def test_an_empty_page_has_no_link() -> None:
    assert Page(0, "").of(["a"], "/") == ([], {})


def test_last_need_not_exist_and_is_not_listed() -> None:
    assert Page(9, "b").of(["a", "c"], "/") == (["c"], {})
    assert Page(9, "a").of(["a", "c"], "/") == (["c"], {})
