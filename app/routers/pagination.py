"""Sorted lists in pages: ``n``, ``last`` and a relative Link (distribution-spec, "Listing Tags")."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Query

from app.errors import PaginationInvalid

_LIMIT = 1000
_COUNT = re.compile(r"0*([0-9]+)")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of at most ``count`` names, all greater than ``last``."""

    count: int
    last: str

    def of(self, names: Sequence[str], path: str) -> tuple[Sequence[str], dict[str, str]]:
        """Return the names of this page, and the headers that link to the next page.

        ``names`` are sorted and unique.  There may be a hundred thousand.
        """
        start = bisect_right(names, self.last)
        end = start + self.count
        page = names[start:end]
        if not page or end >= len(names):
            return page, {}
        # Clients refuse a Link to another origin, and the origin behind a proxy is unknown.
        target = f"{path}?n={self.count}&last={quote(page[-1], safe='')}"
        return page, {"link": f'<{target}>; rel="next"'}


async def _page(
    n: Annotated[
        str | None,
        Query(description="The maximal number of names", json_schema_extra={"pattern": "^[0-9]+$"}),
    ] = None,
    last: Annotated[str, Query(description="List the names that sort after this one")] = "",
) -> Page:
    if n is None:
        return Page(_LIMIT, last)
    count = _COUNT.fullmatch(n)
    if count is None:
        raise PaginationInvalid("n is a whole number")
    # Python converts no numbers of thousands of digits.
    digits = count[1]
    return Page(_LIMIT if len(digits) > len(str(_LIMIT)) else min(int(digits), _LIMIT), last)


Pagination = Annotated[Page, Depends(_page)]
