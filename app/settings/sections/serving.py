"""Settings of the server: its address, its proxies, and what it serves in addition to images."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.access.proxies import Network, ProxyHeader, networks
from app.builder.sources.definition import AbsolutePath
from app.settings.sections.fields import OptionalUrl


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise ValueError(f"directory {directory} does not exist")
    return directory


def _networks(value: object) -> object:
    return networks(value) if isinstance(value, str) else value


class ServingSettings(BaseModel):
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Every client that reaches it can start builds.",
    )
    port: int = Field(
        8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one and logs it."
    )
    external_url: OptionalUrl = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+)?$",
        max_length=120,  # messages are limited to 300 characters
        description="The server's address as users see it (scheme and host, up to 120 characters),"
        " for links in messages.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        networks("127.0.0.0/8,::1"),
        description="Addresses and networks of proxies, separated by commas. Their headers are"
        " trusted to give the client's address and the scheme.",
    )
    proxy_header: ProxyHeader = Field(
        ProxyHeader.X_FORWARDED_FOR,
        description="The header in which trusted proxies give the client's address:"
        " x-forwarded-for or forwarded.",
    )
    web_dir: Annotated[AbsolutePath, AfterValidator(_existing)] | None = Field(
        None, description="A directory of static pages to serve at /, in place of the front page."
    )
    catalog: bool = Field(
        default=False,
        description="Serve GET /v2/_catalog: the names of the images built so far.",
    )
    explain_not_found: bool = Field(
        default=True,
        description="Send 403 for unknown packages and tags to clients that hide the message of a"
        " 404.",
    )
