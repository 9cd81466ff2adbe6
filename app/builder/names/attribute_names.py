"""List the attributes of a package set, also if some end the evaluation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from loguru import logger

from app.builder.nix.door import (
    Attribute,
    AttributeScan,
    Evaluation,
    EvaluationStopped,
    NixEvaluator,
)
from app.errors import EvaluationFailed

# One process has this share of an evaluation's time, so that an attribute that never ends does not
# use all of it ...
_SHARE = 0.25
_LEAST_SECONDS = 10
# ... and all processes together have this multiple.
_TIMES = 5
_STARTS = 200
_NAMES = 200_000  # each takes some 500 bytes of memory


@dataclass(frozen=True, slots=True)
class AttributeNames:
    """The attribute names of a package set.

    packages: known to be packages.
    nested: in sets of packages; not evaluated, because that would evaluate everything.
    unlooked: could not be evaluated within the limits.
    sets: sets that are empty, or not marked as sets of packages.
    others: all other names at the top: values, and attributes that end the evaluation.
    complete: false if there were too many names.
    """

    packages: tuple[str, ...]
    nested: tuple[str, ...]
    unlooked: tuple[str, ...]
    sets: tuple[str, ...]
    others: tuple[str, ...]
    complete: bool

    @property
    def candidates(self) -> tuple[str, ...]:
        """All names that may be packages."""
        return (*self.packages, *self.nested, *self.unlooked)


@dataclass
class _Collected:
    """The names found so far.

    ``at`` is the number of the next attribute, ``room`` the number of names that still fit.
    """

    room: int
    names: tuple[str, ...] = ()
    at: int = 0
    packages: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    unlooked: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def add(self, attribute: Attribute) -> None:
        name = self.names[attribute.number]
        match attribute.kind:
            case "package":
                self.take(self.packages, (name,))
            case "packages" if attribute.inner:
                self.take(self.nested, [f"{name}.{inner}" for inner in attribute.inner])
            case "set" | "packages":
                self.take(self.sets, (name,))
            case "other":
                self.take(self.others, (name,))

    def end(self) -> AttributeNames:
        self.take(self.unlooked, self.names[self.at :])
        return AttributeNames(
            tuple(self.packages),
            tuple(self.nested),
            tuple(self.unlooked),
            tuple(self.sets),
            tuple(self.others),
            complete=self.room > 0,
        )

    def take(self, names: list[str], more: Sequence[str]) -> None:
        names += more[: self.room]
        self.room -= min(len(more), self.room)


async def list_names(
    nix: NixEvaluator, evaluation: Evaluation, *, clock: Callable[[], float] = time.monotonic
) -> AttributeNames:
    """List all attributes except those that end the evaluation.

    After an attribute that ended the evaluation, a new process continues with the next one.  If a
    limit ended it, the new process starts with that attribute, because the ones before it may have
    used up the limit.  Raises EvaluationFailed if the package set does not evaluate.
    """
    end = clock() + _TIMES * evaluation.seconds
    seconds = max(_SHARE * evaluation.seconds, min(_LEAST_SECONDS, evaluation.seconds))
    collected = _Collected(room=_NAMES)
    for _ in range(_STARTS):
        share = min(seconds, end - clock())
        if share <= 0 or collected.room == 0:
            break
        try:
            scan = await nix.scan(replace(evaluation, seconds=share), start=collected.at)
        except EvaluationStopped:
            if seconds >= evaluation.seconds and not collected.names:
                raise
            if seconds >= evaluation.seconds:
                break
            seconds = evaluation.seconds  # importing the set takes longer than the share
            continue
        collected.names = collected.names or scan.names
        for attribute in scan.attributes:
            collected.add(attribute)
        if scan.failure is None:
            collected.at = len(collected.names)
            break
        _resume(collected, scan, evaluation.source)
    return collected.end()


def _resume(collected: _Collected, scan: AttributeScan, source: str) -> None:
    limited = isinstance(scan.failure, EvaluationStopped)
    if limited and scan.failed_at > collected.at:
        collected.at = scan.failed_at
        return
    collected.at = scan.failed_at + 1
    if scan.failed_at >= len(collected.names):
        return
    name = collected.names[scan.failed_at]
    collected.take(collected.unlooked if limited else collected.others, (name,))
    logger.bind(source=source, attribute=name).info("an attribute is not listed: {}", scan.failure)


async def packages_among(
    nix: NixEvaluator, evaluation: Evaluation, names: Sequence[str]
) -> frozenset[str]:
    """Return the names of packages; a name that ends the evaluation is not one."""
    found: set[str] = set()
    start = 0
    while start < len(names):
        try:
            scan = await nix.scan(evaluation, start=start, only=names)
        except EvaluationFailed:
            break  # the package set does not evaluate, or not in time
        found |= {names[one.number] for one in scan.attributes if one.kind == "package"}
        if scan.failure is None or isinstance(scan.failure, EvaluationStopped):
            break
        start = scan.failed_at + 1
    return frozenset(found)
