"""The attribute names of a revision: listed once, kept, and searched."""

import asyncio
import json
import time
from collections.abc import Sequence

from loguru import logger

from app.builder.evaluation.evaluator import Pinned, opened, subject
from app.builder.jobs.failures import FailureMemory
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.stages import Stage
from app.builder.names.suggestions import NameIndex
from app.builder.nix import Evaluation, Nix
from app.builder.records.records import key_of
from app.builder.running.workers import Workers
from app.errors import (
    EvaluationFailed,
    NamesPending,
    PackagesUnknown,
    RegistryError,
    StorageUnavailable,
    TooManyRequests,
    Unavailable,
)
from app.oci import Digest
from app.storage import keys
from app.storage.base import ObjectNotFound, Storage

# Raise when the same revision gives other names.
_FORMAT = 1
_KIND = "packages"
_REVISIONS = 4  # kept in memory; a large set takes some 50 MB
_QUEUE = 8
_EXPECTED_SECONDS = 10
_FAILED_SECONDS = 600
_PASSING_SECONDS = 10
_SUGGEST_SECONDS = 2
_SEARCH_SECONDS = 25  # some clients leave after 30
_SUGGESTIONS = 3
_LEFT_OUT = 8


class AttributeIndex:
    """Nobody who waits owns a listing: it goes on for whoever comes next, until ``close``.

    One listing runs at a time, so that names of many revisions asked for at once do not take
    the machine.
    """

    def __init__(self, *, nix: Nix, storage: Storage, workers: Workers) -> None:
        self._nix = nix
        self._storage = storage
        self._workers = workers
        self._stage = Stage(
            "listing", at_once=1, waiting=_QUEUE, expected_seconds=_EXPECTED_SECONDS
        )
        self._listings: Jobs[NameIndex] = Jobs(
            failures=FailureMemory(
                passing=_PASSING_SECONDS, failed=_FAILED_SECONDS, unknown=_FAILED_SECONDS
            ),
            result_seconds=float("inf"),
            remember=_REVISIONS,
            history=0,
        )

    async def names(self, pinned: Pinned) -> tuple[str, ...]:
        """As image names say them, sorted; waits however long it takes.

        Raises EvaluationFailed, SourceUnavailable, TooManyRequests, Draining.
        """
        index = await self._index(pinned, None)
        return index.names if index else ()

    async def search(self, pinned: Pinned, text: str, limit: int) -> tuple[str, ...]:
        """Best first.  Raises what ``names`` does, and Unavailable while a listing takes long."""
        index = await self._index(pinned, _SEARCH_SECONDS)
        if index is None:
            raise Unavailable(f"the names of {pinned.source.name} are being listed; ask again")
        return await self._workers.run(index.search, text, limit)

    async def explained(self, pinned: Pinned, error: PackagesUnknown) -> PackagesUnknown:
        """The error with names that may have been meant; never another error."""
        try:
            index = await self._index(pinned, _SUGGEST_SECONDS)
            if index is None:
                return NamesPending(error.packages)
            names = await self._workers.run(_proposals, index, error.packages)
        except RegistryError as failure:
            logger.bind(source=pinned.source.name).warning("no names to propose: {}", failure)
            passing = isinstance(failure, TooManyRequests | Unavailable)
            return NamesPending(error.packages) if passing else error
        return PackagesUnknown(error.packages, names)

    def lacking(self, pinned: Pinned, names: Sequence[str]) -> tuple[str, ...]:
        """Those that are no packages, as far as a listing that is in memory tells; none without."""
        listing = self._listings.remembered(str(_key(pinned)), lambda job: job.failure is None)
        index = listing.result() if listing else None
        return tuple(name for name in names if index.lacks(name)) if index else ()

    async def close(self) -> None:
        await self._listings.drain(0)

    async def _index(self, pinned: Pinned, seconds: float | None) -> NameIndex | None:
        key = _key(pinned)

        async def start(progress: Progress) -> NameIndex:
            names = await self._read(key)
            if names is None:
                async with self._stage.slot(progress):
                    names = await self._list(pinned)
                await self._write(key, names)
            return await self._workers.run(NameIndex.of, names)

        title = f"names of {pinned.source.name} {pinned.revision.label[:12]}"
        return await self._listings.join(str(key), start, title=title).wait(seconds)

    async def _list(self, pinned: Pinned) -> tuple[str, ...]:
        begun = time.monotonic()
        async with opened(pinned) as evaluation:
            names = await list_names(self._nix, evaluation)
        logger.bind(
            source=pinned.source.name,
            revision=pinned.revision.identity,
            names=len(names),
            seconds=round(time.monotonic() - begun, 3),
        ).info("listed the names of a package set")
        return names

    async def _read(self, key: Digest) -> tuple[str, ...] | None:
        try:
            body = await self._storage.read(keys.record(_KIND, key))
        except (ObjectNotFound, StorageUnavailable):
            return None
        return await self._workers.run(_parse, body)

    async def _write(self, key: Digest, names: tuple[str, ...]) -> None:
        body = await self._workers.run(_document, names)
        try:
            await self._storage.write(keys.record(_KIND, key), body)
        except StorageUnavailable as error:
            logger.warning("the names of a package set cannot be kept: {}", error)


async def list_names(nix: Nix, evaluation: Evaluation) -> tuple[str, ...]:
    """The names of all packages; those that end the evaluation are left out.

    What cannot be listed within the time of one evaluation is not looked into: then the names
    at the top are the answer.  Raises EvaluationFailed.
    """
    left_out: list[str] = []
    looked_at = ""

    def look(attribute: str) -> None:
        nonlocal looked_at
        looked_at = attribute

    try:
        async with asyncio.timeout(evaluation.seconds):
            while len(left_out) <= _LEFT_OUT:
                looked_at = ""
                try:
                    return await nix.names(evaluation, leave_out=left_out, on_attribute=look)
                except EvaluationFailed as error:
                    if not looked_at or looked_at in left_out:
                        break
                    logger.bind(source=evaluation.source, attribute=looked_at).info(
                        "left out of the names: {}", error
                    )
                    left_out.append(looked_at)
    except TimeoutError:
        pass
    names = await nix.names(evaluation, leave_out=None, on_attribute=look)
    return tuple(name for name in names if name not in left_out)


def _key(pinned: Pinned) -> Digest:
    return key_of({"format": _FORMAT, **subject(pinned)})


def _proposals(index: NameIndex, unknown: tuple[str, ...]) -> tuple[str, ...]:
    """Blocking.  The best for each, then the second best for each, and so on."""
    found = [index.suggest(name, _SUGGESTIONS) for name in unknown[:_SUGGESTIONS]]
    ranked = [names[rank] for rank in range(_SUGGESTIONS) for names in found if rank < len(names)]
    return tuple(dict.fromkeys(ranked))[:_SUGGESTIONS]


def _document(names: tuple[str, ...]) -> bytes:
    """Blocking: there may be megabytes."""
    return json.dumps({"names": names}, separators=(",", ":")).encode()


def _parse(body: bytes) -> tuple[str, ...] | None:
    """Blocking.  None if another version wrote it."""
    try:
        match json.loads(body):
            case {"names": [*names]} if all(isinstance(name, str) for name in names):
                return tuple(names)
            case _:
                return None
    except ValueError:
        return None
