"""Failures as values: jobs and caches keep one, and each caller gets an exception of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from app.errors import ErrorCode, RegistryError


@dataclass(frozen=True, slots=True)
class Failure:
    """A RegistryError without its traceback and cause, which would keep the builder's frames alive.

    Made by ``of``.  ``page`` is the identifier of the job whose page explains it, "" without one.
    ``attributes`` are all of the error's own.
    """

    kind: type[RegistryError]
    message: str
    detail: Mapping[str, object]
    page: str
    attributes: Mapping[str, object]

    @classmethod
    def of(cls, error: RegistryError, *, page: str = "") -> Self:
        """Return the error as a value; ``page`` is used if it does not carry a page yet."""
        page = error.page or page
        return cls(type(error), error.message, error.detail, page, {**vars(error), "page": page})

    @property
    def code(self) -> ErrorCode:
        return self.kind.code

    def exception(self) -> RegistryError:
        """Return a new exception, equal to the original one; each raise needs its own."""
        error = self.kind.__new__(self.kind, self.message)
        vars(error).update(self.attributes)
        return error
