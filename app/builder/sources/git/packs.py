"""The packs of a bare repository, of which git itself lets go of none.

A commit without its past is a pack of its own, and nothing refers to it: git would either keep
all of them for ever or none.  So it is written down which pack is whose, and the longest
unused go.  All but ``use`` is for who is alone in the repository.
"""

import os
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".pack"


def names(repository: Path) -> frozenset[str]:
    """Blocking."""
    return frozenset(pack.stem for pack in _directory(repository).glob(f"*{_SUFFIX}"))


def note(repository: Path, commit: str, before: frozenset[str]) -> None:
    """Blocking.  The pack that was not there ``before`` is that of the commit."""
    new = sorted(names(repository) - before)
    if len(new) != 1:
        return
    mark = _marks(repository) / commit
    mark.parent.mkdir(exist_ok=True)
    mark.unlink(missing_ok=True)
    mark.symlink_to(Path("..") / "objects" / "pack" / f"{new[0]}{_SUFFIX}")


def use(repository: Path, commit: str) -> None:
    """Blocking."""
    with suppress(FileNotFoundError):
        os.utime(_marks(repository) / commit)


def drop_oldest(repository: Path, *, keep: int) -> None:
    """Blocking.  The packs of all commits but those used last; they can be fetched again."""
    marks = [mark for mark in _marks(repository).glob("*") if _is_there(mark)]
    marks.sort(key=lambda mark: mark.stat().st_mtime_ns, reverse=True)
    dropped = marks[keep:]
    if not dropped:
        return
    for mark in dropped:
        pack = mark.resolve()
        mark.unlink()
        # Git takes what has an index for a pack.
        for file in (pack.with_suffix(".idx"), *pack.parent.glob(f"{pack.stem}.*")):
            file.unlink(missing_ok=True)
    _forget_past(repository, {mark.name for mark in dropped})


def _forget_past(repository: Path, commits: set[str]) -> None:
    """Git would tell every host, at every fetch, that it has them without their past."""
    shallow = repository / "shallow"
    with suppress(FileNotFoundError):
        lines = [line for line in shallow.read_text().split() if line not in commits]
        new = shallow.with_name("shallow.new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.rename(shallow)


def _is_there(mark: Path) -> bool:
    if mark.exists():
        return True
    mark.unlink(missing_ok=True)
    return False


def _directory(repository: Path) -> Path:
    return repository / "objects" / "pack"


def _marks(repository: Path) -> Path:
    return repository / "packs-of-commits"
