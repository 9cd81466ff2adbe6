"""JSON documents that this registry defines, for /docs and /openapi.json."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.builder.jobs.job import JobState
from app.builder.jobs.phases import Phase


class ErrorEntry(BaseModel):
    code: str = Field(description="One of the distribution specification's codes, or UNKNOWN")
    message: str = Field(description="One line, at most 300 characters")
    detail: dict[str, Any]


class ErrorBody(BaseModel):
    """The body of an error (distribution-spec, "Error Codes"), always with exactly one entry."""

    errors: list[ErrorEntry] = Field(min_length=1, max_length=1)


ERROR: dict[str, Any] = {"model": ErrorBody}
"""A value for ``responses=``: responses with this status have such a body (HEAD: none)."""


class TagList(BaseModel):
    name: str
    tags: list[str] = Field(description="Sorted")


class Catalog(BaseModel):
    repositories: list[str] = Field(description="Sorted")


class Health(BaseModel):
    status: str


class CheckResult(BaseModel):
    name: str
    ok: bool
    problem: str = Field(description="Empty if there is none")


class Readiness(BaseModel):
    ready: bool
    stopping: bool = Field(description="Running builds finish, new ones are refused")
    checks: list[CheckResult]


class BuildSummary(BaseModel):
    id: str
    image: str = Field(description="The requested image, with its tag")
    state: JobState
    stage: str = Field(description="The present or last stage")
    message: str = Field(description="Why it failed; empty if it did not")
    started_at: datetime
    finished_at: datetime | None
    seconds: float
    page: str = Field(description="Path of its page")
    request: str = Field(
        description="X-Request-Id of the request that started it; empty without one"
    )


class PhaseTime(BaseModel):
    phase: Phase
    seconds: float = Field(description="So far, if it runs")
    running: bool


class BuildProgress(BaseModel):
    phases: list[PhaseTime] = Field(description="In their order; waiting in queues has none")
    remaining_seconds: float | None = Field(
        description="An estimate from earlier builds; null without any, if this one takes much"
        " longer than all of them, and at the end"
    )
    estimated_from: int = Field(description="How many earlier builds the estimate uses")


class Build(BuildSummary, BuildProgress):
    derivation: str = Field(description="The derivation that failed, if any")
    failure_log: list[str] = Field(description="The last lines of that derivation's log")
    log: list[str] = Field(description="The last lines of the build's log")


class BuildList(BaseModel):
    running: list[BuildSummary] = Field(description="Oldest first")
    finished: list[BuildSummary] = Field(description="Latest first")


class QueueState(BaseModel):
    name: str
    active: int
    waiting: int
    retry_after: int = Field(description="Seconds until the requests that wait now are admitted")


class BuildCounts(BaseModel):
    """Counts since the process started."""

    started: int
    joined: int = Field(description="Requests that found their build running")
    remembered: int = Field(description="Requests that found their build's outcome in memory")
    found: int = Field(description="Builds that found everything done already")
    succeeded: int
    failed: int


class Debug(BaseModel):
    version: str
    started_at: datetime
    uptime_seconds: float
    settings: dict[str, str]
    responses: dict[int, int] = Field(description="Responses since the start, by status")
    counts: BuildCounts
    activity: dict[str, int] = Field(
        description="Nix processes started, lookups in caches, bytes stored, store paths packed and"
        " bytes compressed, since the start"
    )
    plan: int = Field(description="Number of packages in the layer plans")
    queues: list[QueueState]
    builds: BuildList


class SearchResult(BaseModel):
    query: str
    source: str = Field(description="The source that has these packages")
    packages: list[str] = Field(description="As written in image names, best match first")
