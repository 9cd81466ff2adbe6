"""Settings of the log."""

from pydantic import BaseModel, Field

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
