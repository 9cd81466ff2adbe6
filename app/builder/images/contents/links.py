"""Where symbolic links lead, without a look at anything outside of a closure."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from app.builder.nix.closure import StorePath

_MOST_STEPS = 40  # as many links as Linux follows


class Links:
    """``store`` is the directory of the store, with a slash at its end.  Methods block."""

    def __init__(self, store_directory: Path, closure: Iterable[StorePath]) -> None:
        self.store = os.path.realpath(os.fsencode(store_directory)) + b"/"
        self._spellings = (self.store, os.fsencode(store_directory) + b"/")
        self._closure = frozenset(path.base.encode() for path in closure)

    def directory(self, link: bytes, target: bytes) -> bytes | None:
        """Return the directory at the end of the link; all are relative to the store.

        None if there is no directory, or if a step on the way is outside of the closure.
        """
        here = link.split(b"/")[:-1]
        todo: list[bytes] = []
        try:
            for _ in range(_MOST_STEPS):
                if target.startswith(b"/"):
                    here, target = [], self._relative(target)
                todo += reversed(target.split(b"/"))
                found = self._walk(here, todo)
                if found is None:
                    return b"/".join(here) or None
                target = found
        except OSError:
            pass
        return None

    def _walk(self, here: list[bytes], todo: list[bytes]) -> bytes | None:
        """Return the target of the next link; None at the end.  Raises OSError."""
        while todo:
            name = todo.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                if not here:
                    raise FileNotFoundError
                here.pop()
                continue
            here.append(name)
            if here[0] not in self._closure:
                raise FileNotFoundError
            location = self.store + b"/".join(here)
            mode = os.lstat(location).st_mode
            if stat.S_ISLNK(mode):
                here.pop()
                return os.readlink(location)  # noqa: PTH115  # pathlib knows no names in bytes
            if not stat.S_ISDIR(mode):
                raise NotADirectoryError
        return None

    def _relative(self, target: bytes) -> bytes:
        for spelling in self._spellings:
            if target.startswith(spelling):
                return target.removeprefix(spelling)
        raise FileNotFoundError
