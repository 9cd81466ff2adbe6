"""Types that settings of several sections have."""

from typing import Annotated

from pydantic import AfterValidator, Field

from app.system.web_address import is_web_address


def _empty_or_valid(address: str) -> str:
    if address and not is_web_address(address):
        raise ValueError("the host or port of the URL is invalid")
    return address


Seconds = Annotated[float, Field(gt=0)]
OptionalUrl = Annotated[str, AfterValidator(_empty_or_valid)]
