"""The JSON documents of the registry's own making, for /docs and /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field


class ErrorEntry(BaseModel):
    code: str = Field(description="One of the distribution specification's codes, or UNKNOWN")
    message: str = Field(description="One line, at most 300 characters")
    detail: dict[str, Any]


class ErrorBody(BaseModel):
    """distribution-spec, "Error Codes"; always exactly one entry."""

    errors: list[ErrorEntry] = Field(min_length=1, max_length=1)


ERROR: dict[str, Any] = {"model": ErrorBody}
"""For ``responses=``: any status documented with it has a body of this form (HEAD: none)."""


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
    problem: str = Field(description="Empty where there is none")


class Readiness(BaseModel):
    ready: bool
    stopping: bool = Field(description="Running builds finish, new ones are refused")
    checks: list[CheckResult]
