"""The check of settings that are URLs."""

from typing import Annotated

from pydantic import AfterValidator

from app.system.web_address import is_web_address


def _valid(address: str) -> str:
    if address and not is_web_address(address):
        raise ValueError("the host or port of the URL is invalid")
    return address


OptionalUrl = Annotated[str, AfterValidator(_valid)]
