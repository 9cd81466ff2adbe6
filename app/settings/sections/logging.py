"""Settings of the log."""

from pydantic import BaseModel, Field

from app.settings.sections.fields import OptionalUrl
from app.telemetry.log import LogFormat


class LoggingSettings(BaseModel):
    log_level: str = Field(
        "INFO",
        pattern="^(TRACE|DEBUG|INFO|WARNING|ERROR)$",
        description="TRACE, DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: LogFormat = Field(
        LogFormat.AUTO, description="human, json, or auto: human on a terminal, else json."
    )
    otlp_endpoint: OptionalUrl = Field(
        "",
        pattern=r"^(https?://[^\s?#@]+)?$",
        max_length=200,
        description="Where to send traces of requests and builds, by OpenTelemetry's protocol over"
        " HTTP (`http://localhost:4318`); needs `nixery[otel]`.",
    )
