"""How a package's service is started: the attribute ``nixery`` of a package.

A package set writes these values, so each is validated and bounded.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# Places that only services use; others belong to packages, to the image or to the kernel.
_ROOTS = ("/etc/", "/home/", "/run/", "/srv/", "/var/")
_DEVICES = frozenset({"/dev/null", "/dev/stderr", "/dev/stdout"})
_SHARE = ("/share/", "/usr/share/")
_PATH = re.compile(r"(/[A-Za-z0-9_+@][A-Za-z0-9._+@-]{0,63}){2,12}")


def _place(path: str) -> str:
    if not _PATH.fullmatch(path) or not path.startswith(_ROOTS):
        raise ValueError(f"not a path below {', '.join(_ROOTS)}: {path!r}")
    return path


def _target(path: str) -> str:
    if path in _DEVICES or (path.startswith(_SHARE) and _PATH.fullmatch(path)):
        return path
    return _place(path)


def _argument(text: str) -> str:
    # Scripts have several lines.
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise ValueError("an argument or a value has control characters")
    return text


_Path = Annotated[str, AfterValidator(_place)]
_Target = Annotated[str, AfterValidator(_target)]
_User = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
_Word = Annotated[str, Field(max_length=4096), AfterValidator(_argument)]
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,63}$")]
_Mode = Annotated[str, StringConstraints(pattern=r"^[01]?[0-7]{3}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class User(_Strict):
    """A line of /etc/passwd and one of /etc/group; the group has the name and the number."""

    name: _User
    uid: Annotated[int, Field(ge=1, le=65000)]
    home: _Path = "/var/empty"


class StateDirectory(_Strict):
    """A directory that a service writes to, and its owner."""

    path: _Path
    user: _User = "root"
    mode: _Mode = "0755"


class Service(_Strict):
    """The service of a package: users, files and the command of the image.

    ``user`` runs the command; ``packages`` are in the image as well.
    """

    users: Annotated[tuple[User, ...], Field(max_length=8)] = ()
    directories: Annotated[tuple[StateDirectory, ...], Field(max_length=32)] = ()
    links: Annotated[Mapping[_Path, _Target], Field(max_length=32)] = {}
    environment: Annotated[Mapping[_Variable, _Word], Field(max_length=32)] = {}
    packages: Annotated[tuple[_Name, ...], Field(max_length=16)] = ()
    command: Annotated[tuple[_Word, ...], Field(max_length=64)] = ()
    user: _User = "root"


def parse_service(text: str) -> Service:
    """Parse JSON.  Raises ValueError."""
    return Service.model_validate_json(text)
