"""Store paths, validated, and the closure they form."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import (
    no_info_plain_validator_function,
    plain_serializer_function_ser_schema,
    str_schema,
)

STORE = "/nix/store"
STORE_PREFIX = f"{STORE}/".encode()  # of a path in an image
# Nix: src/libstore/path.cc; nix-base32 has no e, o, t, u.
_BASE = re.compile(r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9a-zA-Z+\-._?=]{1,211}")
# Characters of an invalid path in a message; a valid one has fewer.
_SHOWN = 300


class StorePath(NamedTuple):
    """A path of the Nix store.

    ``/nix/store/<hash>-<name>``, stored without the directory.  A tuple, whose hash and comparison
    are not functions in Python: an image takes thousands of them.
    """

    base: str

    @classmethod
    def parse(cls, text: str) -> "StorePath":
        """Parse a full path or a base name.  Raises ValueError."""
        base = text.removeprefix(f"{STORE}/")
        if not _BASE.fullmatch(base):
            raise ValueError(f"not a store path: {text[:_SHOWN]!r}")
        return cls(base)

    @property
    def hash_part(self) -> str:
        return self.base[:32]

    @property
    def name(self) -> str:
        return self.base[33:]

    def __str__(self) -> str:
        return f"{STORE}/{self.base}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, __: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read a store path as text, and write it without the store's directory."""
        return no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(str(value)),
            serialization=plain_serializer_function_ser_schema(
                lambda path: path.base, return_schema=str_schema()
            ),
        )


@dataclass(frozen=True, slots=True)
class StoreObject:
    """A valid store path, with what Nix's database has about it.

    ``nar_size`` is in bytes.  ``references`` are sorted, without the path itself.  ``nar_hash`` is
    the SHA-256 of the Nix archive in base 16; "" only where layers are planned for packages that
    are not in the store.
    """

    path: StorePath
    nar_size: Annotated[int, Field(ge=0)]
    references: tuple[StorePath, ...]
    nar_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = ""


class Closure:
    """Store objects and all that they refer to, in the order of their paths."""

    __slots__ = ("_objects",)

    def __init__(self, objects: Iterable[StoreObject]) -> None:
        """Take the objects in any order.  Raises ValueError if a reference is missing."""
        self._objects: dict[StorePath, StoreObject] = {
            item.path: item for item in sorted(objects, key=lambda item: item.path)
        }
        for item in self._objects.values():
            for reference in item.references:
                if reference not in self._objects:
                    raise ValueError(f"{item.path} refers to {reference}, which is missing")

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, path: object) -> bool:
        return path in self._objects

    def __getitem__(self, path: StorePath) -> StoreObject:
        return self._objects[path]

    @property
    def objects(self) -> Mapping[StorePath, StoreObject]:
        return self._objects

    @property
    def paths(self) -> tuple[StorePath, ...]:
        return tuple(self._objects)

    def below(self, path: StorePath) -> tuple[StoreObject, ...]:
        """Return the path and everything it refers to, directly or not, in path order."""
        seen = {path}
        todo = [path]
        while todo:
            for reference in self._objects[todo.pop()].references:
                if reference not in seen:
                    seen.add(reference)
                    todo.append(reference)
        return tuple(self._objects[item] for item in sorted(seen))
