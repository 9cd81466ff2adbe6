"""Settings of requests that wait for builds (docs/wire.md)."""

from pydantic import BaseModel, Field


class WaitingSettings(BaseModel):
    redirect_seconds: float = Field(
        20,
        gt=0,
        lt=30,
        description="How long a request waits for a build before it is redirected to its own URL."
        " containerd gives up after 30 s without a response.",
    )
    redirects: int = Field(
        9, ge=0, le=9, description="Maximum number of redirects; clients in Go follow ten."
    )
    hold_seconds: float = Field(
        900,
        gt=0,
        le=7200,
        description="How long the last request waits, for clients that support it.",
    )
    failure_seconds: float = Field(
        60,
        ge=0,
        description="How long the failure of a build is cached; transient failures for 10 seconds"
        " at most.",
    )
    drain_seconds: float = Field(
        30, ge=0, description="How long a stopping server waits for running builds."
    )
